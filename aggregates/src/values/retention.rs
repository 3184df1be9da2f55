//! How long a deprovisioned tenant keeps its data.

use chrono::{DateTime, TimeDelta, Utc};

/// The number is not a retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 0 to {max} days, not {given}")]
pub struct RetentionError {
    /// Days given.
    pub given: u32,
    /// Most days.
    pub max: u32,
}

/// A number of days of 24 hours, at most ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retention {
    days: u32,
}

impl Retention {
    /// Ten years.
    pub const MAX_DAYS: u32 = 3650;
    /// RP-PAM article 38: data is preserved on days 1 to 30 and deleted on day 31.
    pub const DEFAULT: Self = Self { days: 30 };

    /// Makes a retention of 0 to [`Self::MAX_DAYS`] days.
    ///
    /// # Errors
    /// More days than that.
    pub const fn from_days(days: u32) -> Result<Self, RetentionError> {
        if days > Self::MAX_DAYS {
            return Err(RetentionError { given: days, max: Self::MAX_DAYS });
        }
        Ok(Self { days })
    }

    /// The last moment at which a tenant deprovisioned at `start` can be restored.
    #[must_use]
    pub fn ends_at(self, start: DateTime<Utc>) -> DateTime<Utc> {
        later(start, self.days)
    }

    /// The first moment at which it may be deleted: a day later, so that nobody restores what is being destroyed.
    #[must_use]
    pub fn delete_after(self, start: DateTime<Utc>) -> DateTime<Utc> {
        later(start, self.days + 1)
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Stops at the end of chrono's calendar, 260,000 years away, where `+` would panic.
fn later(start: DateTime<Utc>, days: u32) -> DateTime<Utc> {
    start.checked_add_signed(TimeDelta::days(i64::from(days))).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
