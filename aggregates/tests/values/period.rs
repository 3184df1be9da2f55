//! Months.

use chrono::{DateTime, Utc};
use tenure_aggregates::values::{PeriodError, UsagePeriod};

use crate::given::{at, value};

#[test]
fn a_moment_lies_in_its_month_in_utc() {
    for (moment, month) in [
        ("2026-04-01T00:00:00Z", "2026-04"),
        ("2026-04-30T23:59:59.999999Z", "2026-04"),
        ("2026-05-01T00:00:00Z", "2026-05"),
        ("2026-05-01T01:30:00+02:00", "2026-04"),
        ("2028-02-29T12:00:00Z", "2028-02"),
    ] {
        assert_eq!(UsagePeriod::containing(at(moment)).to_string(), month);
    }
}

#[test]
fn a_month_reaches_to_the_first_moment_of_the_next() {
    for (month, starts, ends, last_second) in [
        ("2026-04", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-04-30T23:59:59Z"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-12-31T23:59:59Z"),
        ("2028-02", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", "2028-02-29T23:59:59Z"),
    ] {
        let month: UsagePeriod = value(month);
        assert_eq!((month.starts_at(), month.ends_at()), (at(starts), at(ends)));
        assert_eq!(month.last_second(), at(last_second));
        assert_eq!(month.next().starts_at(), month.ends_at());
    }
}

#[test]
fn months_are_written_with_four_and_two_digits() {
    for text in ["2026-04", "1999-12", "0001-01", "9999-12"] {
        assert_eq!(text.parse::<UsagePeriod>().unwrap().to_string(), text);
    }
    for text in ["", "2026", "2026-4", "2026-13", "2026-00", "26-04", "+026-04", "2026-04-01", "2026/04", "２０２６-04"]
    {
        assert_eq!(text.parse::<UsagePeriod>(), Err(PeriodError), "{text:?}");
    }
}

#[test]
fn the_ends_of_the_calendar_are_no_panic() {
    let last = UsagePeriod::containing(DateTime::<Utc>::MAX_UTC);
    assert!(last.next() >= last);
    assert!(last.ends_at() >= last.starts_at());
    assert!(UsagePeriod::containing(DateTime::<Utc>::MIN_UTC).starts_at() >= DateTime::<Utc>::MIN_UTC);
}
