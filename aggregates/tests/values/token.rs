//! Hashes and lifetimes of access tokens.

use chrono::TimeDelta;
use tenure_aggregates::values::{LifetimeError, TokenHash, TokenLifetime};

use crate::given::at;

#[test]
fn a_hash_is_written_in_hexadecimal_and_hides_in_log_lines() {
    let hash = TokenHash::from_digest(std::array::from_fn(|index| u8::try_from(index * 8).unwrap()));
    let text = hash.to_string();
    assert!(text.starts_with("000810") && text.len() == 64, "{text}");
    assert_eq!(text.parse(), Ok(hash));
    assert_eq!(format!("{hash:?}"), "TokenHash(..)");
    for wrong in ["", &text[1..], &text.to_uppercase().replace('0', "A"), &text.replace('0', "g"), &"é".repeat(32)] {
        assert!(wrong.parse::<TokenHash>().is_err(), "{wrong}");
    }
}

#[test]
fn a_token_lives_a_day_to_a_year() {
    for days in [0, -1, 366, i64::MIN, i64::MAX] {
        assert_eq!(TokenLifetime::from_days(days), Err(LifetimeError { given: days, max: 365 }));
    }
    let start = at("2026-05-01T12:00:00Z");
    for days in [1, 365] {
        assert_eq!(TokenLifetime::from_days(days).unwrap().ends_at(start), start + TimeDelta::days(days));
    }
}
