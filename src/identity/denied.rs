//! Why a caller is turned away, with what a dialect needs to say so.

use super::{Action, Role};

/// What is wrong with a token. Told to the caller: none of it helps to make a better forgery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// Not three parts of base64url, not JSON inside, or too large; an access token that is mistyped.
    #[error("the token is malformed")]
    Malformed,
    /// Signed with something else than `EdDSA`, RS256 or ES256, or with another algorithm than its key is for.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// No trusted key has the token's key id, or it names none and several could be meant.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// Issued by somebody else.
    #[error("the token's issuer is not accepted")]
    Issuer,
    /// Meant for another service.
    #[error("the token is meant for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing or not of its type.
    #[error("the token's claims are incomplete")]
    Claims,
    /// The role is none of ours.
    #[error("the token's role is not known")]
    Role,
    /// No access token that is alive.
    #[error("the token is not known or was revoked")]
    NotLive,
}

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No `Authorization` header.
    #[error("a bearer token is required")]
    MissingToken,
    /// The header is not `Bearer TOKEN` or `Token TOKEN`.
    #[error("the authorization header must hold Bearer or Token, and a token")]
    MalformedHeader,
    /// The token is not accepted.
    #[error(transparent)]
    InvalidToken(#[from] TokenFault),
    /// The role may never do this.
    #[error("role {role} may not do {}", .action.as_str())]
    Forbidden {
        /// The caller's role.
        role: Role,
        /// What it asked for.
        action: Action,
    },
    /// The caller's tenant, or its MSP, is suspended.
    #[error("tenant suspended")]
    TenantSuspended,
    /// The caller's tenant, or its MSP, is in retention.
    #[error("tenant deprovisioned")]
    TenantDeprovisioned,
    /// The caller's tenant, or its MSP, was deleted.
    #[error("tenant deleted")]
    TenantDeleted,
    /// The token names a tenant that does not exist.
    #[error("tenant unknown")]
    TenantUnknown,
    /// This instance could not read the log lately and does not guess who is suspended.
    #[error("the service can't tell whether the tenant is in use")]
    GateStale,
    /// The issuer's keys could never be read.
    #[error("the service can't read the keys that tokens are signed with")]
    KeysUnavailable,
}

/// The kinds of answer that a refusal gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 401, with [`Denied::www_authenticate`].
    Unauthorized,
    /// 403.
    Forbidden,
    /// 503, with [`Denied::RETRY_AFTER_SECONDS`].
    Unavailable,
}

impl Denied {
    /// When to try again after [`Answer::Unavailable`].
    pub const RETRY_AFTER_SECONDS: u32 = 1;

    /// Which kind of answer the refusal gets.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        match self {
            Self::MissingToken | Self::MalformedHeader | Self::InvalidToken(_) => Answer::Unauthorized,
            Self::Forbidden { .. }
            | Self::TenantSuspended
            | Self::TenantDeprovisioned
            | Self::TenantDeleted
            | Self::TenantUnknown => Answer::Forbidden,
            Self::GateStale | Self::KeysUnavailable => Answer::Unavailable,
        }
    }

    /// The `WWW-Authenticate` header of a 401 (RFC 6750 section 3); `None` for other answers.
    #[must_use]
    pub fn www_authenticate(&self) -> Option<String> {
        let error = match self {
            // RFC 6750 section 3.1: who sent no token is told no error.
            Self::MissingToken => return Some("Bearer realm=\"tenure\"".to_owned()),
            Self::MalformedHeader => "invalid_request",
            Self::InvalidToken(_) => "invalid_token",
            Self::Forbidden { .. }
            | Self::TenantSuspended
            | Self::TenantDeprovisioned
            | Self::TenantDeleted
            | Self::TenantUnknown
            | Self::GateStale
            | Self::KeysUnavailable => return None,
        };
        Some(format!("Bearer realm=\"tenure\", error=\"{error}\", error_description=\"{self}\""))
    }

    /// A stable name, for `code` members and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingToken => "token-missing",
            Self::MalformedHeader => "authorization-malformed",
            Self::InvalidToken(TokenFault::Expired) => "token-expired",
            Self::InvalidToken(_) => "token-invalid",
            Self::Forbidden { .. } => "role-forbidden",
            Self::TenantSuspended => "tenant-suspended",
            Self::TenantDeprovisioned => "tenant-deprovisioned",
            Self::TenantDeleted => "tenant-deleted",
            Self::TenantUnknown => "tenant-unknown",
            Self::GateStale => "gate-stale",
            Self::KeysUnavailable => "keys-unavailable",
        }
    }
}
