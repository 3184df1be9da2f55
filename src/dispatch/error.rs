//! Why a command was not carried out. Dialects map it to their own errors, exhaustively.

use tenure_aggregates::{CorruptHistory, Refusal, access_token, administrator, link, subscription, tenant};
use tenure_event_log::{AppendError, ReadError, Violation};

/// Why a command was not carried out. Nothing of it was written, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No such tenant, or one that the caller may not know of.
    #[error("no such tenant")]
    NotFound,
    /// A rule of the tenant refuses it.
    #[error(transparent)]
    Tenant(tenant::Error),
    /// A rule of the administrator refuses it.
    #[error(transparent)]
    Administrator(administrator::Error),
    /// A rule of the link refuses it.
    #[error(transparent)]
    Link(link::Error),
    /// A rule of the subscription refuses it.
    #[error(transparent)]
    Subscription(subscription::Error),
    /// The domain belongs to a tenant that the MSP manages already, or that is being deleted.
    #[error("the domain belongs to a tenant of this MSP, or to one that is being deleted")]
    DomainHeld,
    /// A rule of the access token refuses it.
    #[error(transparent)]
    AccessToken(access_token::Error),
    /// The request made an access token before, which can't be shown again.
    #[error("the request made the access token {id} before")]
    TokenShownOnce {
        /// The token.
        id: String,
    },
    /// A name is held by another aggregate.
    #[error("claim {scope} is taken")]
    ClaimTaken {
        /// What kind of name, for example `tenant.short-code`.
        scope: String,
    },
    /// A counted limit does not allow it.
    #[error("limit {scope} does not allow it")]
    LimitExceeded {
        /// What is counted, for example `tenant.seats`.
        scope: String,
    },
    /// The tenant that the command stands under is not active.
    #[error("the managing tenant is not active")]
    MspNotActive,
    /// `If-Match` names another version.
    #[error("the tenant is at version {current}")]
    PreconditionFailed {
        /// The present version.
        current: u64,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A request with this idempotency key is being answered right now.
    #[error("a request with this idempotency key is being answered")]
    InFlight,
    /// A request with this idempotency key was answered; only seen inside the dispatcher.
    #[error("the request was answered before")]
    Repeated,
    /// Others were faster for too long.
    #[error("the tenant is being changed by others")]
    Busy,
    /// Too many commands wait.
    #[error("too many commands wait")]
    Overloaded,
    /// The database went away while it was committing, and has not come back: the command may have been carried out.
    #[error("it is not known yet whether the command was carried out")]
    OutcomeUnknown,
    /// The log can't be read or written.
    #[error("the log is unavailable: {reason}")]
    Unavailable {
        /// For the operator.
        reason: String,
    },
    /// The history or the program is wrong. For the operator.
    #[error("{0}")]
    Defect(String),
}

impl CommandError {
    /// True where the state that led to it may have been old, so that a fresh load may decide otherwise.
    pub(super) const fn is_judgement(&self) -> bool {
        match self {
            Self::NotFound
            | Self::Tenant(_)
            | Self::Administrator(_)
            | Self::Link(_)
            | Self::Subscription(_)
            | Self::DomainHeld
            | Self::AccessToken(_)
            | Self::MspNotActive
            | Self::PreconditionFailed { .. } => true,
            Self::ClaimTaken { .. }
            | Self::TokenShownOnce { .. }
            | Self::LimitExceeded { .. }
            | Self::KeyReused
            | Self::InFlight
            | Self::Repeated
            | Self::Busy
            | Self::Overloaded
            | Self::OutcomeUnknown
            | Self::Unavailable { .. }
            | Self::Defect(_) => false,
        }
    }

    /// True where the same request, if it was answered before, gets that answer instead of this error.
    pub(super) const fn yields_to_repeat(&self) -> bool {
        self.is_judgement()
            || matches!(self, Self::Repeated | Self::Busy | Self::ClaimTaken { .. } | Self::LimitExceeded { .. })
    }
}

impl From<Refusal<tenant::Error>> for CommandError {
    fn from(refusal: Refusal<tenant::Error>) -> Self {
        match refusal {
            Refusal::Rule(error) => Self::Tenant(error),
            Refusal::Impossible(impossible) => Self::Defect(impossible.to_string()),
        }
    }
}

impl From<Refusal<administrator::Error>> for CommandError {
    fn from(refusal: Refusal<administrator::Error>) -> Self {
        match refusal {
            Refusal::Rule(error) => Self::Administrator(error),
            Refusal::Impossible(impossible) => Self::Defect(impossible.to_string()),
        }
    }
}

impl From<Refusal<link::Error>> for CommandError {
    fn from(refusal: Refusal<link::Error>) -> Self {
        match refusal {
            Refusal::Rule(error) => Self::Link(error),
            Refusal::Impossible(impossible) => Self::Defect(impossible.to_string()),
        }
    }
}

impl From<Refusal<subscription::Error>> for CommandError {
    fn from(refusal: Refusal<subscription::Error>) -> Self {
        match refusal {
            Refusal::Rule(error) => Self::Subscription(error),
            Refusal::Impossible(impossible) => Self::Defect(impossible.to_string()),
        }
    }
}

impl From<CorruptHistory> for CommandError {
    fn from(corrupt: CorruptHistory) -> Self {
        Self::Defect(chain(&corrupt))
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable { .. } => Self::Unavailable { reason: chain(&error) },
            ReadError::Corrupt { .. } | ReadError::CorruptLog { .. } => Self::Defect(chain(&error)),
        }
    }
}

impl From<AppendError> for CommandError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Violated(violation) => violation.into(),
            AppendError::Overloaded => Self::Overloaded,
            AppendError::Unavailable { reason, unknown: _ } => Self::Unavailable { reason },
            AppendError::Malformed(what) => Self::Defect(format!("malformed append: {what}")),
        }
    }
}

impl From<Violation> for CommandError {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::StreamMoved { .. } | Violation::GuardMoved { .. } => Self::Busy,
            Violation::ClaimTaken { scope } => Self::ClaimTaken { scope },
            Violation::LimitExceeded { scope } => Self::LimitExceeded { scope },
            Violation::RequestRepeated => Self::Repeated,
            Violation::ClaimNotHeld { scope } => Self::Defect(format!("claim {scope} is not held by its owner")),
            Violation::KeyDestroyed { tenant_id } => Self::Defect(format!("the keys of {tenant_id} were destroyed")),
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
