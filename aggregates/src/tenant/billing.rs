//! Which of a tenant's events a bill is made from.

use chrono::{DateTime, Utc};

use super::Event;

/// The wire names of all events that a bill is made from: those for which [`Event::is_billing`] holds (RP-PAM article 38;
/// `tenant.restored`, so that a bill can be resumed; and what moves a tenant from bill to bill), and the subscription's.
pub const BILLING_EVENTS: [&str; 10] = [
    "tenant.provisioned",
    "tenant.suspended",
    "tenant.reinstated",
    "tenant.deprovisioned",
    "tenant.restored",
    "tenant.deleted",
    "tenant.usage.monthly",
    "tenant.joined",
    "tenant.unlinked",
    "tenant.subscription.changed",
];

impl Event {
    /// True for events that change what the tenant is billed.
    #[must_use]
    pub const fn is_billing(&self) -> bool {
        match self {
            Self::Provisioned { .. }
            | Self::Suspended { .. }
            | Self::Reinstated { .. }
            | Self::Deprovisioned { .. }
            | Self::Restored { .. }
            | Self::Deleted { .. }
            | Self::UsageMonthly { .. }
            | Self::Joined { .. }
            | Self::Unlinked { .. } => true,
            Self::Updated { .. } | Self::UsageReported { .. } | Self::DomainProven { .. } => false,
        }
    }

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
