//! What a tenant's events change outside its stream.

use super::Event;
use crate::{ClaimChange, ClaimKey, LimitChange, TenantId};

/// Scope of the claim on a short code; the key is the code, the owner the tenant.
pub const SHORT_CODE_CLAIM: &str = "tenant.short-code";

/// Scope of the counted limit on users; the key is the tenant's id. Its row is made by whoever changes it first.
pub const SEAT_LIMIT: &str = "tenant.seats";

impl Event {
    pub(super) fn claims(&self) -> Vec<ClaimChange> {
        let scope = SHORT_CODE_CLAIM;
        match self {
            Self::Provisioned { account, .. } => {
                vec![ClaimChange::Take { scope, key: ClaimKey::Plain(account.short_code.to_string()) }]
            }
            Self::Deleted { released_short_code: Some(short_code), .. } => {
                vec![ClaimChange::Release { scope, key: ClaimKey::Plain(short_code.to_string()) }]
            }
            Self::Deleted { released_short_code: None, .. }
            | Self::Updated { .. }
            | Self::Suspended { .. }
            | Self::Reinstated { .. }
            | Self::Deprovisioned { .. }
            | Self::Restored { .. }
            | Self::UsageReported { .. }
            | Self::UsageMonthly { .. } => Vec::new(),
        }
    }

    /// A new maximum is refused when more seats are taken: users are counted where they are accepted, not here.
    pub(super) fn limits(&self, tenant_id: TenantId) -> Vec<LimitChange> {
        match self {
            Self::Updated { changes, .. } => changes
                .max_users
                .map(|max| LimitChange {
                    scope: SEAT_LIMIT,
                    key: tenant_id.to_string(),
                    delta: 0,
                    max: Some(max.get().into()),
                })
                .into_iter()
                .collect(),
            Self::Provisioned { .. }
            | Self::Suspended { .. }
            | Self::Reinstated { .. }
            | Self::Deprovisioned { .. }
            | Self::Restored { .. }
            | Self::Deleted { .. }
            | Self::UsageReported { .. }
            | Self::UsageMonthly { .. } => Vec::new(),
        }
    }
}
