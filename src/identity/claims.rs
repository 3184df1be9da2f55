//! What a token says, once its signature is known to be good.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Number;
use tenure_aggregates::values::Groups;
use tenure_aggregates::{Role, TenantId};

use super::denied::TokenFault;

/// The last second that a token's time may name: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;
/// Longest subject and token id, in bytes.
const MAX_TEXT_BYTES: usize = 255;

/// A token with a good signature, the right issuer and the right audience.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Who the bearer is; may be a personal value.
    pub subject: String,
    /// What the bearer is.
    pub role: Role,
    /// In which tenant.
    pub tenant: TenantId,
    /// In which groups.
    pub groups: Arc<Groups>,
    /// The token's own id.
    pub id: Option<String>,
    /// Valid before then.
    pub expires_at: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
    issued_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("role", &self.role).field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// RFC 7519 section 4.1, and three claims of our own. Others are ignored.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    sub: Option<String>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    jti: Option<String>,
    role: Option<String>,
    tenant: Option<String>,
    groups: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl Token {
    /// Reads the claims. Times are read, not judged.
    pub(super) fn parse(
        json: &[u8],
        issuer: &str,
        audience: &str,
        default_tenant: TenantId,
    ) -> Result<Self, TokenFault> {
        let claims: Claims = serde_json::from_slice(json).map_err(|_| TokenFault::Claims)?;
        if claims.iss.as_deref() != Some(issuer) {
            return Err(TokenFault::Issuer);
        }
        if !claims.aud.is_some_and(|named| named.names(audience)) {
            return Err(TokenFault::Audience);
        }
        let role: Role = claims.role.ok_or(TokenFault::Claims)?.parse().map_err(|_| TokenFault::Role)?;
        let tenant = match claims.tenant {
            Some(tenant) => tenant.parse().map_err(|_| TokenFault::Claims)?,
            None if defaults_to_msp(role) => default_tenant,
            None => return Err(TokenFault::Claims),
        };
        let subject = claims.sub.filter(|sub| is_text(sub)).ok_or(TokenFault::Claims)?;
        if claims.jti.as_deref().is_some_and(|jti| !is_text(jti)) {
            return Err(TokenFault::Claims);
        }
        let groups = Groups::parse(&claims.groups.unwrap_or_default()).map_err(|_| TokenFault::Claims)?;
        let token = Self {
            subject,
            role,
            tenant,
            groups: Arc::new(groups),
            id: claims.jti,
            expires_at: time(&claims.exp.ok_or(TokenFault::Claims)?)?,
            not_before: claims.nbf.as_ref().map(time).transpose()?,
            issued_at: claims.iat.as_ref().map(time).transpose()?,
        };
        if token.issued_at.is_some_and(|issued_at| issued_at > token.expires_at) {
            return Err(TokenFault::Claims);
        }
        Ok(token)
    }

    /// Whether the token is valid at `now`, on a clock that may differ from the issuer's by the leeway.
    pub(super) fn judge_times(&self, now: DateTime<Utc>, leeway_seconds: u32) -> Result<(), TokenFault> {
        let leeway = TimeDelta::seconds(i64::from(leeway_seconds));
        if now - leeway >= self.expires_at {
            return Err(TokenFault::Expired);
        }
        let begins = self.not_before.max(self.issued_at);
        if begins.is_some_and(|begins| now + leeway < begins) {
            return Err(TokenFault::NotYetValid);
        }
        Ok(())
    }
}

/// Whether a token of this role that names no tenant means the deployment's first MSP.
const fn defaults_to_msp(role: Role) -> bool {
    match role {
        Role::MspAdmin | Role::Billing | Role::Support => true,
        Role::PrimeAdmin
        | Role::Admin
        | Role::OfficeAdmin
        | Role::DpskAdmin
        | Role::TemplatesAdmin
        | Role::ReportsAdmin
        | Role::ReadOnly
        | Role::Auditor => false,
    }
}

/// Neither empty nor long, nothing in it that would break a log line or a header.
fn is_text(text: &str) -> bool {
    (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

/// A `NumericDate`: seconds since 1970, fractions allowed and cut off.
fn time(number: &Number) -> Result<DateTime<Utc>, TokenFault> {
    let seconds = number.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "cut off on purpose; the range is checked below")]
        number.as_f64().filter(|seconds| seconds.is_finite()).map(|seconds| seconds.floor() as i64)
    });
    seconds
        .filter(|seconds| (0..=LAST_SECOND).contains(seconds))
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or(TokenFault::Claims)
}
