//! Every refusal in this dialect's error body, `{"message", "code"}`: one place, without a catch-all arm, so that a new
//! error doesn't compile until it has a status.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use tenure_aggregates::tenant::DOMAIN_CLAIM;
use tenure_aggregates::{access_token, administrator, link, subscription, tenant};
use tenure_projections::QueryError;
use utoipa::ToSchema;

use crate::dispatch::CommandError;
use crate::http::body::BadBody;
use crate::http::conditional::BadHeader;
use crate::http::query::BadQuery;
use crate::http::rate_limit::TooMany;
use crate::identity::{Answer, Denied};

/// The media type of every answer, as NetBird's own server writes it.
pub const JSON: &str = "application/json; charset=UTF-8";

/// Seconds after which trying again makes sense where the service can't tell better.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The body of every answer above 399.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody<'a> {
    /// What went wrong, for people.
    #[schema(example = "tenant not found")]
    message: &'a str,
    /// The HTTP status.
    #[schema(example = 404)]
    code: u16,
    /// 501 only: what to publish in a TXT record at the domain, as `nb-verification=` and this.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_challenge: Option<&'a str>,
}

/// An answer that is an error.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    message: Box<str>,
    dns_challenge: Option<Box<str>>,
    retry_after_seconds: Option<u32>,
    challenge: Option<Box<str>>,
    allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal that says why. The message of a 5xx names nothing but the kind of trouble.
    pub fn new(status: StatusCode, message: impl fmt::Display) -> Self {
        let message = message.to_string().into();
        Self { status, message, dns_challenge: None, retry_after_seconds: None, challenge: None, allow: None }
    }

    /// No such thing, or none that the caller may know of.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "tenant not found")
    }

    /// The path exists, the method does not.
    pub fn method_not_allowed(methods: &'static str) -> Self {
        Self { allow: Some(methods), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed") }
    }

    /// A field that does not hold what it should.
    pub fn invalid(field: &str, why: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field} {why}"))
    }

    /// A defect. The log line with the request's id says which.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }

    /// Worth trying again in a moment.
    pub fn unavailable(message: &str) -> Self {
        Self { retry_after_seconds: Some(RETRY_AFTER_SECONDS), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The service stops: another instance, or the next start, will answer.
    pub fn stopping() -> Self {
        Self::unavailable("the service is stopping")
    }

    /// What it is asked about is in a state that does not allow it.
    pub fn wrong_state(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, why)
    }

    fn conflict(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound => Self::not_found(),
            CommandError::Tenant(error) => error.into(),
            CommandError::Administrator(error) => error.into(),
            CommandError::Link(error) => error.into(),
            CommandError::Subscription(error) => error.into(),
            CommandError::DomainHeld => Self::conflict(error),
            CommandError::AccessToken(error) => error.into(),
            CommandError::TokenShownOnce { .. } => Self::conflict(error),
            CommandError::ClaimTaken { scope } => Self::conflict(match scope.as_str() {
                link::MSP_DOMAIN_CLAIM => "there is a tenant with this domain already",
                link::INVITATION_CLAIM => "the account has an open invitation from somebody else",
                DOMAIN_CLAIM => "the domain was verified by another account",
                _ => "a name is in use",
            }),
            CommandError::LimitExceeded { .. } => Self::conflict("a limit does not allow it"),
            CommandError::MspNotActive => Self::new(StatusCode::FORBIDDEN, "the MSP account is not active"),
            CommandError::PreconditionFailed { .. } => Self::wrong_state(error),
            CommandError::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error),
            CommandError::InFlight => Self::conflict(error),
            CommandError::Busy => Self::unavailable("the tenant is being changed by others"),
            CommandError::Overloaded => Self::unavailable("too many commands wait"),
            CommandError::OutcomeUnknown => Self::unavailable("it is not known yet whether it was carried out"),
            CommandError::Unavailable { reason } => {
                tracing::warn!(reason, "a command was refused: the log is unavailable");
                Self::unavailable("temporarily unavailable")
            }
            CommandError::Repeated => {
                tracing::error!("a request counts as repeated, though this dialect has no idempotency keys");
                Self::internal()
            }
            CommandError::Defect(defect) => {
                tracing::error!(defect, "a command failed");
                Self::internal()
            }
        }
    }
}

impl From<link::Error> for Refusal {
    fn from(error: link::Error) -> Self {
        use link::Error;
        match &error {
            Error::NotLinked => Self::not_found(),
            Error::AlreadyLinked { .. } | Error::AccountInUse { .. } => Self::conflict(error),
            Error::WrongStage { .. } => Self::wrong_state(error),
            Error::ChallengeMissing { dns_challenge, .. } | Error::LookupFailed { dns_challenge, .. } => Self {
                dns_challenge: Some(dns_challenge.as_str().into()),
                ..Self::new(StatusCode::NOT_IMPLEMENTED, &error)
            },
        }
    }
}

impl From<subscription::Error> for Refusal {
    fn from(error: subscription::Error) -> Self {
        match error {
            subscription::Error::NotActive { .. } => Self::wrong_state(error),
        }
    }
}

impl From<access_token::Error> for Refusal {
    fn from(error: access_token::Error) -> Self {
        // No operation here makes a token.
        Self::conflict(error)
    }
}

impl From<tenant::Error> for Refusal {
    fn from(error: tenant::Error) -> Self {
        use tenant::Error;
        match error {
            Error::NotProvisioned => Self::not_found(),
            Error::NotUpdatable { .. }
            | Error::NotActive { .. }
            | Error::NotSuspended { .. }
            | Error::AlreadyDeprovisioned { .. }
            | Error::NotDeprovisioning { .. }
            | Error::RetentionOver { .. }
            | Error::RetentionRunning { .. } => Self::wrong_state(error),
            Error::AlreadyProvisioned { .. }
            | Error::LimitBelowUsage { .. }
            | Error::MspNotDeprovisionable
            | Error::ConfirmationMismatch
            | Error::UsageAlreadyRecorded { .. }
            | Error::PeriodOutOfOrder { .. }
            | Error::PeriodNotOver { .. }
            | Error::PeriodAfterDeletion { .. }
            | Error::OtherDomain { .. }
            | Error::NotIndependent
            | Error::NotManagedBy { .. } => Self::conflict(error),
        }
    }
}

impl From<administrator::Error> for Refusal {
    fn from(error: administrator::Error) -> Self {
        Self::conflict(error)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied.answer() {
            Answer::Unauthorized => {
                let message = match denied {
                    Denied::InvalidToken(_) => "token invalid",
                    _ => "no valid authentication provided",
                };
                let challenge = denied.www_authenticate().map(Into::into);
                Self { challenge, ..Self::new(StatusCode::UNAUTHORIZED, message) }
            }
            Answer::Forbidden => Self::new(StatusCode::FORBIDDEN, denied),
            Answer::Unavailable => Self::unavailable("temporarily unavailable"),
        }
    }
}

impl From<TooMany> for Refusal {
    fn from(refused: TooMany) -> Self {
        Self {
            retry_after_seconds: Some(refused.retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, refused)
        }
    }
}

impl From<BadBody> for Refusal {
    fn from(bad: BadBody) -> Self {
        match &bad {
            BadBody::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, bad),
            BadBody::UnsupportedMediaType => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, bad),
            BadBody::Incomplete | BadBody::Malformed { .. } => Self::new(StatusCode::BAD_REQUEST, bad),
            BadBody::Stopping => Self::stopping(),
            BadBody::Field { pointer, reason } => {
                let field = pointer.trim_start_matches('/');
                let field = if field.is_empty() { "the body:" } else { field };
                Self::invalid(field, reason)
            }
        }
    }
}

impl From<BadQuery> for Refusal {
    fn from(bad: BadQuery) -> Self {
        Self::new(StatusCode::BAD_REQUEST, bad)
    }
}

impl From<BadHeader> for Refusal {
    fn from(bad: BadHeader) -> Self {
        Self::new(StatusCode::BAD_REQUEST, bad)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, cause, "a view could not be read");
        Self::unavailable("temporarily unavailable")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let body = ErrorBody {
            message: &self.message,
            code: self.status.as_u16(),
            dns_challenge: self.dns_challenge.as_deref(),
        };
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(challenge) = &self.challenge {
            response.insert_header((WWW_AUTHENTICATE, &**challenge));
        }
        if let Some(methods) = self.allow {
            response.insert_header((ALLOW, methods));
        }
        let text = serde_json::to_vec(&body).unwrap_or_default();
        response.insert_header((CACHE_CONTROL, "no-store")).insert_header((CONTENT_TYPE, JSON)).body(text)
    }
}
