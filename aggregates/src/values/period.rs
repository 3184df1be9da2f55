//! Calendar months, in which usage is billed.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The text is not a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a month in the form YYYY-MM")]
pub struct PeriodError;

/// A calendar month in UTC, written `YYYY-MM`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UsagePeriod {
    first_day: NaiveDate,
}

impl UsagePeriod {
    /// The month that holds a moment.
    #[must_use]
    pub fn containing(at: DateTime<Utc>) -> Self {
        let day = at.date_naive();
        Self { first_day: day - Days::new(u64::from(day.day0())) }
    }

    /// The month after this one. (Chrono's last month, 260,000 years away, follows itself.)
    #[must_use]
    pub fn next(self) -> Self {
        Self { first_day: self.first_day.checked_add_months(Months::new(1)).unwrap_or(self.first_day) }
    }

    /// Its first moment.
    #[must_use]
    pub fn starts_at(self) -> DateTime<Utc> {
        self.first_day.and_time(NaiveTime::MIN).and_utc()
    }

    /// The first moment that is no longer in it: the 1st of the next month, 00:00Z.
    #[must_use]
    pub fn ends_at(self) -> DateTime<Utc> {
        self.next().starts_at()
    }

    /// Its last whole second, which is when its usage counts as having occurred: a bill from the 1st to the last day of
    /// the month finds it.
    #[must_use]
    pub fn last_second(self) -> DateTime<Utc> {
        self.ends_at() - TimeDelta::seconds(1)
    }
}

impl fmt::Display for UsagePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first_day.year(), self.first_day.month())
    }
}

impl fmt::Debug for UsagePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsagePeriod({self})")
    }
}

impl FromStr for UsagePeriod {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(PeriodError)?;
        if !digits(year, 4) || !digits(month, 2) {
            return Err(PeriodError);
        }
        let (year, month) = (year.parse().map_err(|_| PeriodError)?, month.parse().map_err(|_| PeriodError)?);
        NaiveDate::from_ymd_opt(year, month, 1).map(|first_day| Self { first_day }).ok_or(PeriodError)
    }
}

impl TryFrom<String> for UsagePeriod {
    type Error = PeriodError;

    fn try_from(text: String) -> Result<Self, PeriodError> {
        text.parse()
    }
}

impl From<UsagePeriod> for String {
    fn from(period: UsagePeriod) -> Self {
        period.to_string()
    }
}
