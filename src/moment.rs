//! Days and moments as people and programs name them in `from` and `to`.

use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Utc};

/// What is allowed, in words.
pub const ALLOWED: &str = "a date such as 2026-04-01 or a time such as 2026-04-01T00:00:00Z, in the years 1970 to 9999";

/// A day (UTC), or a single moment: its first microsecond and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its first microsecond.
    pub first: DateTime<Utc>,
    /// The first microsecond that is no longer in it.
    pub after: DateTime<Utc>,
}

/// The text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {ALLOWED}")]
pub struct MomentError;

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let day = |day: NaiveDate| {
            let first = day.and_time(NaiveTime::MIN).and_utc();
            first.checked_add_signed(TimeDelta::days(1)).map(|after| Self { first, after })
        };
        let moment = |moment: DateTime<Utc>| {
            moment.checked_add_signed(TimeDelta::microseconds(1)).map(|after| Self { first: moment, after })
        };
        // Ten characters are a date and nothing else: chrono would also take `2026-4-1`.
        let parsed = match text.len() {
            10 => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(day),
            _ => DateTime::parse_from_rfc3339(text).ok().and_then(|time| moment(time.to_utc())),
        };
        parsed.filter(|parsed| (1970..=9999).contains(&parsed.first.year())).ok_or(MomentError)
    }
}

/// A time: its first moment, and the first after it; open where there is none.
pub type Range = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// The time from one moment to another, both inclusive; `None` if the first is later.
#[must_use]
pub fn range(from: Option<Moment>, to: Option<Moment>) -> Option<Range> {
    let (from, to) = (from.map(|moment| moment.first), to.map(|moment| moment.after));
    match (from, to) {
        (Some(from), Some(to)) if from >= to => None,
        range => Some(range),
    }
}
