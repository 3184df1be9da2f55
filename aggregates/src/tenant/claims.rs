//! What a tenant's events change outside its stream.

use super::{Account, Event};
use crate::values::{DomainName, ShortCode};
use crate::{ClaimChange, ClaimKey, LimitChange, TenantId};

/// Scope of the claim on a short code; the key is the code, the owner the tenant.
pub const SHORT_CODE_CLAIM: &str = "tenant.short-code";

/// Scope of the claim on a domain; the key is the domain, the owner the tenant, which keeps it until it is deleted.
pub const DOMAIN_CLAIM: &str = "tenant.domain";

/// Scope of the counted limit on users; the key is the tenant's id. Its row is made by whoever changes it first.
pub const SEAT_LIMIT: &str = "tenant.seats";

impl Event {
    /// `before`: the account that the event changes.
    pub(super) fn claims(&self, before: Option<&Account>) -> Vec<ClaimChange> {
        let short_code = |code: &ShortCode| ClaimKey::Plain(code.to_string());
        let domain = |domain: &DomainName| ClaimKey::Plain(domain.to_string());
        match self {
            Self::Provisioned { account, .. } => {
                vec![ClaimChange::Take { scope: SHORT_CODE_CLAIM, key: short_code(&account.short_code) }]
            }
            Self::DomainProven { domain: proven, .. } => {
                vec![ClaimChange::Take { scope: DOMAIN_CLAIM, key: domain(proven) }]
            }
            Self::Deleted { released_short_code, .. } => {
                let code = released_short_code.as_ref().map(|code| (SHORT_CODE_CLAIM, short_code(code)));
                let domain =
                    before.and_then(|account| account.domain.as_ref()).map(|name| (DOMAIN_CLAIM, domain(name)));
                let released = code.into_iter().chain(domain);
                released.map(|(scope, key)| ClaimChange::Release { scope, key }).collect()
            }
            Self::Updated { .. }
            | Self::Suspended { .. }
            | Self::Reinstated { .. }
            | Self::Deprovisioned { .. }
            | Self::Restored { .. }
            | Self::UsageReported { .. }
            | Self::UsageMonthly { .. }
            | Self::Joined { .. }
            | Self::Unlinked { .. } => Vec::new(),
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
            | Self::UsageMonthly { .. }
            | Self::DomainProven { .. }
            | Self::Joined { .. }
            | Self::Unlinked { .. } => Vec::new(),
        }
    }
}
