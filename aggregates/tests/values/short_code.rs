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

#[test]
fn who_chose_none_gets_one_made_from_its_names() {
    let made = |names: &[&str], number| ShortCode::made_from(names, number).to_string();
    assert_eq!(made(&["My new tenant", "tenant.com"], None), "my-new-tenant");
    assert_eq!(made(&["  Acme & Partner, Ltd. ", "acme.example"], Some(2)), "acme-partner-ltd-2");
    assert_eq!(made(&["李小龙", "dragon.example"], None), "dragon-example");
    assert_eq!(made(&["å", "ö"], Some(17)), "tenant-17");
    for number in [None, Some(2), Some(999_999)] {
        let code = made(&["A name that is much longer than twenty characters"], number);
        assert!(code.len() <= 20 && ShortCode::parse(&code).is_ok(), "{code}");
    }
    assert_eq!(made(&["abcdefghijklm nopqrstuvwxyz"], Some(12345)), "abcdefghijklm-12345", "no hyphen stands double");
}
