//! Identifiers that others gave.

use tenure_aggregates::values::{DnsChallenge, IdentifierError, PriceId, SubjectId, UserId};

#[test]
fn an_identifier_is_kept_as_it_is() {
    assert_eq!(UserId::parse("google-oauth2|123456789012345678901").unwrap().as_str().len(), 35);
    assert_eq!(SubjectId::parse("Ops team (Köln)").unwrap().to_string(), "Ops team (Köln)");
    assert_eq!(PriceId::parse("price_1HhxOpBzq4JbCqRmJxkpzL2V").unwrap().as_str(), "price_1HhxOpBzq4JbCqRmJxkpzL2V");
    assert!(SubjectId::parse("~3q2-7w").is_ok() && DnsChallenge::parse("YXNk-_").is_ok());
}

#[test]
fn it_is_neither_empty_nor_long_nor_unprintable() {
    let length = |length| Err(IdentifierError::Length { length, max: 255 });
    assert_eq!(SubjectId::parse("").map(|_| ()), length(0));
    assert_eq!(UserId::parse(&"x".repeat(256)).map(|_| ()), length(256));
    for text in [" a", "a ", "a\0b", "a\nb"] {
        assert_eq!(SubjectId::parse(text), Err(IdentifierError::Unprintable), "{text:?}");
    }
    for (text, found) in [("price 1", ' '), ("price/1", '/'), ("prïce", 'ï')] {
        assert_eq!(PriceId::parse(text), Err(IdentifierError::Character { found }));
    }
    assert_eq!(PriceId::parse("").map(|_| ()), length(0));
}

#[test]
fn a_user_id_may_be_an_address_and_is_never_printed() {
    assert_eq!(format!("{:?}", UserId::parse("ada@acme.example").unwrap()), "UserId(..)");
}
