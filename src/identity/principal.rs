//! Who calls: a subject with one role in one tenant.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tenure_aggregates::values::{Groups, PrincipalId};
use tenure_aggregates::{AccessTokenId, Role, TenantId, TenantKind};

/// Somebody whose token is valid and whose tenant may be used right now.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's subject. It may be a name or an address, so it is shown to nobody but the caller: see
    /// [`Principal::id`].
    pub subject: String,
    /// What the subject is in the tenant.
    pub role: Role,
    /// The tenant that the subject belongs to.
    pub tenant: TenantId,
    /// The tenant's place in the tree.
    pub kind: TenantKind,
    /// The groups that the token says the subject is in.
    pub groups: Arc<Groups>,
    /// The token's own id, if it has one.
    pub token_id: Option<String>,
    /// The personal access token that was shown, if it was one.
    pub access_token: Option<AccessTokenId>,
    /// When the token ends, leeway not counted.
    pub expires_at: DateTime<Utc>,
    pub(super) subject_id: String,
}

impl Principal {
    /// Names the principal in events, idempotency records and logs: the tenant and the subject's id, never a personal
    /// value.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.tenant, self.subject_id)
    }

    /// The subject as it may be written down.
    #[must_use]
    pub fn subject_id(&self) -> &str {
        &self.subject_id
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("id", &self.id()).field("role", &self.role).finish_non_exhaustive()
    }
}

/// How the subject of a personal access token begins. Never to be changed: events name who made a token by it.
const TOKEN_SUBJECT: &str = "token-";

/// The subject of a personal access token: not a uuid, so that it is nobody else's.
pub(super) fn token_subject(token: AccessTokenId) -> String {
    format!("{TOKEN_SUBJECT}{token}")
}

/// The access token that another one was made with, by the id of the principal who made it.
pub(super) fn granting_token(maker: &PrincipalId) -> Option<AccessTokenId> {
    let (_, subject) = maker.as_str().split_once('/')?;
    subject.strip_prefix(TOKEN_SUBJECT)?.parse().ok()
}

/// The subject as it may be written down: itself if it is plainly an identifier, else a pseudonym that `blind` makes.
pub(super) fn subject_id(subject: &str, blind: impl FnOnce(&str) -> String) -> String {
    const LONGEST: usize = 64;
    let is_id = subject.parse::<uuid::Uuid>().is_ok() || subject.starts_with(super::development_key::SUBJECT_PREFIX);
    let is_plain = subject.len() <= LONGEST && subject.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_id && is_plain { subject.to_owned() } else { format!("~{}", blind(subject)) }
}
