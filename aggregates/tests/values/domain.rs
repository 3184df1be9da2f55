//! Domain names.

use tenure_aggregates::values::{DomainError, DomainName};

#[test]
fn a_domain_is_kept_in_lower_case() {
    for (text, kept) in [
        ("Tenant.COM", "tenant.com"),
        ("a.b", "a.b"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1und1.de", "1und1.de"),
        ("deep.in.some.zone.example", "deep.in.some.zone.example"),
    ] {
        assert_eq!(DomainName::parse(text).unwrap().as_str(), kept);
    }
}

#[test]
fn what_nobody_can_register_is_no_domain() {
    for text in [
        "",
        "localhost",
        ".",
        "com.",
        ".com",
        "a..b",
        "-a.com",
        "a-.com",
        "a b.com",
        "a_b.com",
        "bücher.example",
        "http://tenant.com",
        "tenant.com/x",
        "192.0.2.7",
        "tenant.com.",
        "tenant.123",
        "a@b.com",
    ] {
        assert_eq!(DomainName::parse(text), Err(DomainError::NotAHostName), "{text:?}");
    }
    let label = "a".repeat(64);
    assert_eq!(DomainName::parse(&format!("{label}.com")), Err(DomainError::NotAHostName));
    let long = format!("{}com", "abcdefghi.".repeat(26));
    assert_eq!(DomainName::parse(&long), Err(DomainError::TooLong { length: 263, max: 253 }));
}
