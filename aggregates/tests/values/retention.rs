//! Retention.

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::values::{Retention, RetentionError};

use crate::given::at;

#[test]
fn thirty_days_of_24_hours_unless_configured() {
    let start = at("2026-03-01T10:00:00Z");
    assert_eq!(Retention::default().ends_at(start), at("2026-03-31T10:00:00Z"));
    assert_eq!(Retention::default().delete_after(start), at("2026-04-01T10:00:00Z"));
}

#[test]
fn at_most_ten_years() {
    let start = at("2026-03-01T10:00:00Z");
    let longest = Retention::from_days(3650).unwrap();
    assert_eq!(longest.ends_at(start), start + TimeDelta::days(3650));
    assert_eq!(Retention::from_days(3651), Err(RetentionError { given: 3651, max: 3650 }));
}

#[test]
fn the_end_of_the_calendar_is_no_panic() {
    let end = DateTime::<Utc>::MAX_UTC;
    assert_eq!(Retention::default().delete_after(end), end);
}
