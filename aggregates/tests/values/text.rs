//! Names and reasons.

use tenure_aggregates::values::{DisplayName, PersonName, Reason, TextError};

#[test]
fn a_text_is_trimmed_and_otherwise_kept() {
    assert_eq!(DisplayName::parse("  Æther & Söhne GmbH  ").unwrap().as_str(), "Æther & Söhne GmbH");
    assert_eq!(PersonName::parse("李 小龙").unwrap().as_str(), "李 小龙");
}

#[test]
fn a_text_is_not_empty() {
    for text in ["", " ", "\u{3000}", "\n\t"] {
        assert_eq!(DisplayName::parse(text), Err(TextError::Empty));
        assert_eq!(PersonName::parse(text), Err(TextError::Empty));
        assert_eq!(Reason::parse(text), Err(TextError::Empty));
    }
}

#[test]
fn lengths_count_characters() {
    let too_long = |length, max| Some(TextError::TooLong { length, max });
    assert!(DisplayName::parse(&"é".repeat(100)).is_ok());
    assert_eq!(DisplayName::parse(&"é".repeat(101)).err(), too_long(101, 100));
    assert!(PersonName::parse(&"名".repeat(100)).is_ok());
    assert_eq!(PersonName::parse(&"名".repeat(101)).err(), too_long(101, 100));
    assert!(Reason::parse(&"x".repeat(200)).is_ok());
    assert_eq!(Reason::parse(&"x".repeat(201)).err(), too_long(201, 200));
}

#[test]
fn control_characters_are_refused() {
    for found in ['\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}'] {
        let text = format!("a{found}b");
        assert_eq!(DisplayName::parse(&text), Err(TextError::ControlCharacter { found }));
    }
    assert_eq!(TextError::ControlCharacter { found: '\0' }.to_string(), "must not hold the control character U+0000");
}

#[test]
fn only_what_names_no_person_is_printed() {
    assert_eq!(format!("{:?}", Reason::parse("unpaid").unwrap()), r#"Reason("unpaid")"#);
    assert_eq!(DisplayName::parse("Acme").unwrap().to_string(), "Acme");
    assert_eq!(format!("{:?}", PersonName::parse("Ada").unwrap()), "PersonName(..)");
}
