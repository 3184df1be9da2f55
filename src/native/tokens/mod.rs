//! Personal access tokens as the native dialect shows them. One file per operation; what they share stands here.

pub mod create;
pub mod detail;
pub mod list;
pub mod revoke;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tenure_aggregates::access_token::Details;
use tenure_aggregates::values::{Groups, PrincipalId};
use tenure_aggregates::{AccessTokenId, TenantId};
use tenure_projections::access_tokens::{TokenRecord, TokenScope};
use utoipa::ToSchema;
use uuid::Uuid;

use super::errors;
use super::problem::Problem;
use super::tenants::{utc, utc_option};
use crate::identity::{Action, Identity, Principal};

/// Whether a token is good for anything.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenStatus {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back, or a token that it descends from was.
    Revoked,
}

/// A token, without the token itself: that is shown once, when it is made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenSummary {
    /// Id of the token, to revoke it by.
    id: Uuid,
    /// What it is for.
    #[schema(example = "nightly sync")]
    name: String,
    /// What its bearer is.
    #[schema(example = "msp-admin")]
    role: String,
    /// The tenant that it acts in.
    tenant_id: Uuid,
    /// The groups that its bearer is in.
    groups: Vec<String>,
    /// Whether it is good for anything.
    status: TokenStatus,
    /// Who made it: tenant and subject, or the token that it was made with.
    #[schema(example = "01900000-0000-7000-8000-000000000001/development-msp-admin")]
    created_by: String,
    /// When it was made.
    #[serde(serialize_with = "utc")]
    created_utc: DateTime<Utc>,
    /// Until when it is good, unless it is revoked.
    #[serde(serialize_with = "utc")]
    expires_utc: DateTime<Utc>,
    /// When it was last used, to the minute.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_option")]
    last_used_utc: Option<DateTime<Utc>>,
    /// When it was taken back itself, if it was.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_option")]
    revoked_utc: Option<DateTime<Utc>>,
}

impl TokenSummary {
    fn made(id: AccessTokenId, details: &Details) -> Self {
        Self {
            id: id.as_uuid(),
            name: details.name.to_string(),
            role: details.role.to_string(),
            tenant_id: details.tenant_id.as_uuid(),
            groups: names(&details.groups),
            status: TokenStatus::Active,
            created_by: details.created_by.to_string(),
            created_utc: details.created_at,
            expires_utc: details.expires_at,
            last_used_utc: None,
            revoked_utc: None,
        }
    }

    /// `is_cut_off`: whether a token that it descends from was taken back.
    fn of(record: &TokenRecord, is_cut_off: bool, now: DateTime<Utc>) -> Self {
        Self {
            id: record.token_id.as_uuid(),
            name: record.name.to_string(),
            role: record.role.to_string(),
            tenant_id: record.tenant_id.as_uuid(),
            groups: names(&record.groups),
            status: match record.revoked_at {
                Some(_) => TokenStatus::Revoked,
                None if is_cut_off => TokenStatus::Revoked,
                None if now >= record.expires_at => TokenStatus::Expired,
                None => TokenStatus::Active,
            },
            created_by: record.created_by.to_string(),
            created_utc: record.created_at,
            expires_utc: record.expires_at,
            last_used_utc: record.last_used_at,
            revoked_utc: record.revoked_at,
        }
    }
}

fn names(groups: &Groups) -> Vec<String> {
    groups.iter().map(ToString::to_string).collect()
}

/// The principal as tokens name it that it makes.
fn maker(principal: &Principal) -> Result<PrincipalId, Problem> {
    PrincipalId::parse(&principal.id()).map_err(|_| errors::internal())
}

/// The tokens that a principal may see.
struct Visible {
    tokens: TokenScope,
    /// It runs all of its tree's, not only its own.
    runs_all: bool,
}

fn scope(identity: &Identity, principal: &Principal) -> Result<Visible, Problem> {
    let runs_all = administers(identity, principal, principal.tenant);
    let tokens = if runs_all {
        TokenScope::Tree(principal.tenant)
    } else {
        TokenScope::Own { created_by: maker(principal)?, token: principal.access_token }
    };
    Ok(Visible { tokens, runs_all })
}

/// Whether the principal runs all tokens that act in the tenant, not only its own.
fn administers(identity: &Identity, principal: &Principal, tenant: TenantId) -> bool {
    identity.permits(principal, Action::AdministerTokens, tenant)
}
