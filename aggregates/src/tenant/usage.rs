//! What a tenant holds, and the months that were billed for it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Account, Error, Event, Tenant};
use crate::values::UsagePeriod;

/// The tenant's last reported counts, and the month to bill next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resources, as the data plane last reported.
    pub resources: u32,
    /// Grants, as the data plane last reported.
    pub grants: u32,
    /// The first month that is not billed yet.
    pub next_period: UsagePeriod,
}

/// One month's bill: counts as of the last event before the month's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthlyUsage {
    /// The month.
    pub period: UsagePeriod,
    /// Accepted administrators and unit users.
    pub user_count: u32,
    /// Resources last reported.
    pub resource_count: u32,
    /// Grants last reported.
    pub grant_count: u32,
}

impl Usage {
    /// Nothing held, nothing billed, on the day of provisioning.
    pub(super) fn starting(at: DateTime<Utc>) -> Self {
        Self { resources: 0, grants: 0, next_period: UsagePeriod::containing(at) }
    }
}

impl Account {
    pub(super) fn report_usage(&self, resources: u32, grants: u32, at: DateTime<Utc>) -> Vec<Event> {
        if (resources, grants) == (self.usage.resources, self.usage.grants) {
            return Vec::new();
        }
        vec![Event::UsageReported { resources, grants, at }]
    }

    pub(super) fn record_month(&self, usage: MonthlyUsage, at: DateTime<Utc>) -> Result<Vec<Event>, Error> {
        let period = usage.period;
        let (first, expected) = (UsagePeriod::containing(self.created_at), self.usage.next_period);
        if (first..expected).contains(&period) {
            return Err(Error::UsageAlreadyRecorded { period });
        }
        if period != expected {
            return Err(Error::PeriodOutOfOrder { period, expected });
        }
        if at < period.ends_at() {
            return Err(Error::PeriodNotOver { period, ends_at: period.ends_at() });
        }
        Ok(vec![Event::UsageMonthly { usage, at }])
    }

    /// The same for a tenant that is gone: its last month is the one that it was deleted in.
    pub(super) fn record_last_months(
        &self,
        usage: MonthlyUsage,
        deleted_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, Error> {
        if usage.period > UsagePeriod::containing(deleted_at) {
            return Err(Error::PeriodAfterDeletion { period: usage.period, deleted_at });
        }
        self.record_month(usage, at)
    }

    pub(super) const fn reported(mut self, resources: u32, grants: u32) -> Self {
        self.usage.resources = resources;
        self.usage.grants = grants;
        self
    }

    /// `None` if another month was due: a month billed twice or left out is not history but damage.
    pub(super) fn billed(mut self, usage: &MonthlyUsage) -> Option<Self> {
        (usage.period == self.usage.next_period).then(|| {
            self.usage.next_period = usage.period.next();
            self
        })
    }
}

impl Tenant {
    /// The month to bill next; `None` before provisioning, and once the month of deletion is billed. It may still run.
    #[must_use]
    pub fn next_usage_period(&self) -> Option<UsagePeriod> {
        let next = self.account()?.usage.next_period;
        match self {
            Self::Deleted { deleted_at, .. } => Some(next).filter(|next| *next <= UsagePeriod::containing(*deleted_at)),
            Self::Unprovisioned | Self::Active { .. } | Self::Suspended { .. } | Self::Deprovisioning { .. } => {
                Some(next)
            }
        }
    }
}
