//! Short codes.

use tenure_aggregates::values::{ShortCode, ShortCodeError};

#[test]
fn letters_digits_and_inner_hyphens_are_kept_in_lower_case() {
    for (typed, kept) in
        [("acme-corp", "acme-corp"), ("ACME", "acme"), ("42x", "42x"), ("a--b", "a--b"), ("007", "007")]
    {
        assert_eq!(ShortCode::parse(typed).unwrap().as_str(), kept);
    }
}

#[test]
fn three_to_twenty_characters() {
    let length = |n: usize| ShortCode::parse(&"a".repeat(n)).map(|_| ());
    let refused = |length| Err(ShortCodeError::Length { length, min: 3, max: 20 });
    assert_eq!([length(0), length(2), length(3)], [refused(0), refused(2), Ok(())]);
    assert_eq!([length(20), length(21)], [Ok(()), refused(21)]);
}

#[test]
fn nothing_else_than_ascii_letters_digits_and_hyphens() {
    for (text, found) in [
        ("acme corp", ' '),
        ("acme_corp", '_'),
        ("acmé", 'é'),
        ("acme\0", '\0'),
        (" acme", ' '),
        ("acme\n", '\n'),
        ("ac.me", '.'),
        ("KELVIN\u{212a}", '\u{212a}'),
    ] {
        assert_eq!(ShortCode::parse(text), Err(ShortCodeError::Character { found }));
    }
}

#[test]
fn no_hyphen_at_either_end() {
    for text in ["-acme", "acme-", "---"] {
        assert_eq!(ShortCode::parse(text), Err(ShortCodeError::OuterHyphen));
    }
}

#[test]
fn json_is_parsed_by_the_same_rules() {
    let code: ShortCode = serde_json::from_str(r#""ACME-Corp""#).unwrap();
    assert_eq!(serde_json::to_string(&code).unwrap(), r#""acme-corp""#);
    assert!(serde_json::from_str::<ShortCode>(r#""-""#).is_err());
    assert!(serde_json::from_str::<ShortCode>("7").is_err());
}
