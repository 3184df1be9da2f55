//! The clock that stamps `recorded_at`, and that everything else in the process reads too.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Wall clock plus a fixed signed offset (`TENURE_CLOCK_OFFSET`), so that a test or a demonstration can live in another
/// month. Times are cut to microseconds, the finest that both engines keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    offset: TimeDelta,
}

impl Clock {
    /// A clock that runs `offset` ahead of (or, negative, behind) the system's.
    #[must_use]
    pub const fn with_offset(offset: TimeDelta) -> Self {
        Self { offset }
    }

    /// The present, UTC, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + self.offset).trunc_subsecs(6)
    }

    /// How far this clock is ahead of the system's.
    #[must_use]
    pub const fn offset(&self) -> TimeDelta {
        self.offset
    }
}
