//! When a tenant's events happened, as a bill shows it.

use chrono::{DateTime, Utc};

use super::Event;

impl Event {
    /// The time that a bill shows: a month's usage belongs to its last second, however late it was recorded.
    #[must_use]
    pub fn occurred_at(&self) -> DateTime<Utc> {
        match self {
            Self::UsageMonthly { usage, .. } => usage.period.last_second(),
            Self::Provisioned { .. }
            | Self::Updated { .. }
            | Self::Suspended { .. }
            | Self::Reinstated { .. }
            | Self::Deprovisioned { .. }
            | Self::Restored { .. }
            | Self::Deleted { .. }
            | Self::UsageReported { .. }
            | Self::DomainProven { .. }
            | Self::Joined { .. }
            | Self::Unlinked { .. } => self.at(),
        }
    }
}
