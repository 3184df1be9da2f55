//! The stages of a tenant's life: names, health, and the decisions with conditions.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Account, Error, Event, Tenant, TenantKind};
use crate::values::{Reason, Retention};

/// Where a tenant is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not there yet.
    Unprovisioned,
    /// In use.
    Active,
    /// Locked out, kept whole.
    Suspended,
    /// In retention.
    Deprovisioning,
    /// Gone.
    Deleted,
}

impl Stage {
    /// The stage's name, as the native dialect spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unprovisioned => "unprovisioned",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deprovisioning => "deprovisioning",
            Self::Deleted => "deleted",
        }
    }

    /// Whether there is something to manage: a link to a tenant that is being deleted looks absent.
    #[must_use]
    pub const fn is_present(self) -> bool {
        match self {
            Self::Active | Self::Suspended => true,
            Self::Unprovisioned | Self::Deprovisioning | Self::Deleted => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the tenant's modules are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Connected.
    Healthy,
    /// Reinstated less than [`RECONNECT_SECONDS`] ago; module connections need time.
    Reconnecting,
    /// Nothing connects: the tenant is not active.
    Disconnected,
}

/// How long modules may take to reconnect after a reinstatement (RP-PAM article 38: "wait 60 seconds and re-check").
pub const RECONNECT_SECONDS: i64 = 60;

impl Tenant {
    /// The stage, without its fields.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Unprovisioned => Stage::Unprovisioned,
            Self::Active { .. } => Stage::Active,
            Self::Suspended { .. } => Stage::Suspended,
            Self::Deprovisioning { .. } => Stage::Deprovisioning,
            Self::Deleted { .. } => Stage::Deleted,
        }
    }

    /// The account, from provisioning on.
    #[must_use]
    pub const fn account(&self) -> Option<&Account> {
        match self {
            Self::Unprovisioned => None,
            Self::Active { account, .. }
            | Self::Suspended { account, .. }
            | Self::Deprovisioning { account, .. }
            | Self::Deleted { account, .. } => Some(account),
        }
    }

    /// Whether the tenant's modules are connected at `now`.
    #[must_use]
    pub fn health(&self, now: DateTime<Utc>) -> Health {
        match self {
            Self::Active { reinstated_at: Some(since), .. }
                if now.signed_duration_since(since) < TimeDelta::seconds(RECONNECT_SECONDS) =>
            {
                Health::Reconnecting
            }
            Self::Active { .. } => Health::Healthy,
            Self::Unprovisioned | Self::Suspended { .. } | Self::Deprovisioning { .. } | Self::Deleted { .. } => {
                Health::Disconnected
            }
        }
    }
}

impl Account {
    /// The confirmation comes last: a wrong one says nothing about a tenant that can't be deprovisioned anyway.
    pub(super) fn deprovision(
        &self,
        confirm_short_code: &str,
        reason: Option<Reason>,
        retention: Retention,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, Error> {
        match self.kind {
            TenantKind::Msp => return Err(Error::MspNotDeprovisionable),
            TenantKind::Customer { .. } | TenantKind::Independent => {}
        }
        if confirm_short_code != self.short_code.as_str() {
            return Err(Error::ConfirmationMismatch);
        }
        let (retention_ends_at, delete_after) = (retention.ends_at(at), retention.delete_after(at));
        Ok(vec![Event::Deprovisioned { reason, retention_ends_at, delete_after, at }])
    }

    pub(super) fn delete(
        &self,
        delete_after: DateTime<Utc>,
        release_short_code: bool,
        at: DateTime<Utc>,
    ) -> Result<Vec<Event>, Error> {
        if at < delete_after {
            return Err(Error::RetentionRunning { delete_after });
        }
        Ok(vec![Event::Deleted { released_short_code: release_short_code.then(|| self.short_code.clone()), at }])
    }
}

pub(super) fn restore(
    retention_ends_at: DateTime<Utc>,
    reason: Reason,
    at: DateTime<Utc>,
) -> Result<Vec<Event>, Error> {
    if at > retention_ends_at {
        return Err(Error::RetentionOver { retention_ends_at });
    }
    Ok(vec![Event::Restored { reason, at }])
}
