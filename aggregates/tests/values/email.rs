//! E-mail addresses.

use tenure_aggregates::values::{EmailAddress, EmailError};

#[test]
fn usual_addresses_are_kept_as_typed() {
    for text in [
        "it@acmecorp.com",
        "Ada.Lovelace+tenure@Acme-Corp.Example",
        "o'brien@mail.example.co.uk",
        "jörg@example.com",
        "x@1.23",
        "it@xn--mnchen-3ya.example",
    ] {
        assert_eq!(EmailAddress::parse(text).unwrap().as_str(), text);
    }
}

#[test]
fn exactly_one_at() {
    for text in ["", "acmecorp.com", "a@b@example.com", "a@@example.com"] {
        assert_eq!(EmailAddress::parse(text), Err(EmailError::NotOneAt), "{text:?}");
    }
}

#[test]
fn a_local_part_of_1_to_64_bytes() {
    let address = |n: usize| EmailAddress::parse(&format!("{}@example.com", "a".repeat(n)));
    let refused = |length| Some(EmailError::LocalPartLength { length, max: 64 });
    assert_eq!(address(0).err(), refused(0));
    assert!(address(1).is_ok());
    assert!(address(64).is_ok());
    assert_eq!(address(65).err(), refused(65));
}

#[test]
fn a_domain_of_two_or_more_labels() {
    let long = format!("a@{}.com", "x".repeat(64));
    for text in [
        "a@",
        "a@localhost",
        "a@.com",
        "a@example.",
        "a@example..com",
        "a@-example.com",
        "a@example-.com",
        "a@exa_mple.com",
        "a@münchen.example",
        "a@[127.0.0.1]",
        &long,
    ] {
        assert_eq!(EmailAddress::parse(text), Err(EmailError::Domain), "{text:?}");
    }
    assert!(EmailAddress::parse(&format!("a@{}.com", "x".repeat(63))).is_ok());
}

#[test]
fn no_space_or_control_character() {
    for text in ["a b@example.com", " a@example.com", "a@example.com\n", "a\0@example.com", "a\u{a0}b@example.com"] {
        assert_eq!(EmailAddress::parse(text), Err(EmailError::Whitespace), "{text:?}");
    }
}

#[test]
fn at_most_254_bytes() {
    let label = "x".repeat(61);
    let longest = format!("abcd@{label}.{label}.{label}.{label}.x");
    assert_eq!(longest.len(), 254);
    assert!(EmailAddress::parse(&longest).is_ok());
    assert_eq!(EmailAddress::parse(&format!("{longest}y")), Err(EmailError::TooLong { length: 255, max: 254 }));
}

#[test]
fn addresses_that_differ_in_case_only_are_one() {
    let canonical = |text| EmailAddress::parse(text).unwrap().canonical();
    assert_eq!(canonical("Ada@AcmeCorp.COM"), "ada@acmecorp.com");
    assert_eq!(canonical("ada@acmecorp.com"), canonical("ADA@acmecorp.com"));
}

#[test]
fn an_address_is_not_printed() {
    assert_eq!(format!("{:?}", EmailAddress::parse("ada@acmecorp.com").unwrap()), "EmailAddress(..)");
}
