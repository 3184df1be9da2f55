//! Every refusal as a problem of the native dialect: one place, without a catch-all arm, so that a new error doesn't
//! compile until it has a status, a stable code and a title.

use actix_web::http::StatusCode;
use tenure_aggregates::tenant::SHORT_CODE_CLAIM;
use tenure_aggregates::{access_token, administrator, link, subscription, tenant};
use tenure_projections::QueryError;

use super::problem::{FieldError, Problem};
use crate::dispatch::CommandError;
use crate::http::body::BadBody;
use crate::http::conditional::BadHeader;
use crate::http::query::BadQuery;
use crate::http::rate_limit::TooMany;
use crate::identity::{Answer, Denied};

/// Seconds after which trying again makes sense where the service can't tell better.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Fields that don't hold what they should.
pub fn validation(errors: Vec<FieldError>) -> Problem {
    let detail = match errors.as_slice() {
        // About the whole body.
        [only] if only.pointer.is_empty() => only.detail.clone(),
        [only] => format!("{} {}", only.pointer, only.detail),
        several => format!("{} fields are not valid", several.len()),
    };
    Problem::new(StatusCode::BAD_REQUEST, "validation-failed", "The request is not valid").detail(detail).errors(errors)
}

/// No such thing, or none that the caller may know of.
pub const fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found")
}

/// The path exists, the method does not.
pub const fn method_not_allowed(methods: &'static str) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed here").allow(methods)
}

/// A defect. The log line with the request's id says which.
pub const fn internal() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
}

/// The views have not passed the position that the client asked for.
pub const fn views_behind() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "views-behind", "The views are behind the position asked for")
        .retry_after(RETRY_AFTER_SECONDS)
}

/// The service stops: another instance, or the next start, will answer.
pub const fn stopping() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The service is stopping")
        .retry_after(RETRY_AFTER_SECONDS)
}

const fn unavailable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")
        .retry_after(RETRY_AFTER_SECONDS)
}

const fn bad_request(code: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, title)
}

const fn conflict(code: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, title)
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound => not_found(),
            CommandError::Tenant(error) => error.into(),
            CommandError::Administrator(error) => error.into(),
            CommandError::Link(error) => error.into(),
            CommandError::Subscription(error) => error.into(),
            CommandError::DomainHeld => conflict("domain-held", "The domain belongs to a tenant").detail(error),
            CommandError::AccessToken(error) => error.into(),
            CommandError::TokenShownOnce { id } => conflict("token-shown-once", "The token was shown before")
                .detail(format!("this request made the token {id}, which is shown once; revoke it and make another")),
            CommandError::ClaimTaken { scope } if scope == SHORT_CODE_CLAIM => {
                let taken = FieldError::new("/shortCode", "is in use by another tenant");
                conflict("short-code-taken", "The short code is in use")
                    .detail("another tenant of this deployment has this shortCode; choose another one")
                    .errors(vec![taken])
            }
            CommandError::ClaimTaken { .. } => conflict("name-taken", "A name is in use"),
            CommandError::LimitExceeded { .. } => {
                conflict("limit-below-usage", "A limit does not fit the present usage")
                    .detail("maxUsers is below the number of present users")
                    .errors(vec![FieldError::new("/maxUsers", "is below the number of present users")])
            }
            CommandError::MspNotActive => Self::new(StatusCode::FORBIDDEN, "tenant-suspended", "tenant suspended")
                .detail("the MSP that the token belongs to is not active"),
            CommandError::PreconditionFailed { current } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", "The tenant is at another version")
                    .detail(format!("If-Match names another version than the present one, \"{current}\""))
            }
            CommandError::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency-Key used before")
                    .detail("this Idempotency-Key came with another request; use a new key for a new request")
            }
            CommandError::InFlight => conflict("request-in-flight", "The same request is being answered")
                .detail("a request with this Idempotency-Key is being answered; repeat it for its answer")
                .retry_after(RETRY_AFTER_SECONDS),
            CommandError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The tenant is being changed by others")
                    .retry_after(RETRY_AFTER_SECONDS)
            }
            CommandError::Overloaded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too many commands wait")
                    .retry_after(RETRY_AFTER_SECONDS)
            }
            CommandError::OutcomeUnknown => {
                let title = "Not known yet whether it was carried out; repeat it with the same Idempotency-Key";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome-unknown", title).retry_after(RETRY_AFTER_SECONDS)
            }
            CommandError::Unavailable { reason } => {
                tracing::warn!(reason, "a command was refused: the log is unavailable");
                unavailable()
            }
            CommandError::Repeated => {
                tracing::error!("a request counts as repeated, but its first answer is not remembered");
                internal()
            }
            CommandError::Defect(defect) => {
                tracing::error!(defect, "a command failed");
                internal()
            }
        }
    }
}

impl From<tenant::Error> for Problem {
    fn from(error: tenant::Error) -> Self {
        use tenant::Error;
        let problem = match &error {
            Error::NotProvisioned => return not_found(),
            Error::ConfirmationMismatch => {
                let wrong = FieldError::new("/confirmShortCode", "is not exactly the tenant's short code");
                return bad_request("confirmation-mismatch", "The confirmation does not match")
                    .detail("repeat the tenant's short code in confirmShortCode, exactly as it is shown")
                    .errors(vec![wrong]);
            }
            Error::LimitBelowUsage { .. } => {
                let below = FieldError::new("/maxResources", &error);
                conflict("limit-below-usage", "A limit does not fit the present usage").errors(vec![below])
            }
            Error::AlreadyProvisioned { .. } => conflict("already-provisioned", "The tenant exists"),
            Error::NotUpdatable { .. } => conflict("not-updatable", "The tenant can't be changed"),
            Error::NotActive { .. } => conflict("not-active", "The tenant is not active"),
            Error::NotSuspended { .. } => conflict("not-suspended", "not suspended"),
            Error::AlreadyDeprovisioned { .. } => conflict("already-deprovisioned", "The tenant is being deleted"),
            Error::MspNotDeprovisionable => conflict("msp-not-deprovisionable", "An MSP can't be deprovisioned"),
            Error::NotDeprovisioning { .. } => conflict("not-deprovisioning", "The tenant is not deprovisioning"),
            Error::RetentionOver { .. } => conflict("retention-over", "The retention is over"),
            Error::RetentionRunning { .. } => conflict("retention-running", "The retention is running"),
            Error::UsageAlreadyRecorded { .. } => conflict("usage-recorded", "The month's usage is recorded"),
            Error::PeriodOutOfOrder { .. } => conflict("period-out-of-order", "Another month comes first"),
            Error::PeriodNotOver { .. } => conflict("period-not-over", "The month is still running"),
            Error::PeriodAfterDeletion { .. } => conflict("period-after-deletion", "The tenant was deleted before"),
            Error::OtherDomain { .. } => conflict("other-domain", "The tenant has another domain"),
            Error::NotIndependent => conflict("not-independent", "The tenant has an MSP"),
            Error::NotManagedBy { .. } => conflict("not-managed", "The tenant is not managed by this MSP"),
        };
        problem.detail(error)
    }
}

impl From<administrator::Error> for Problem {
    fn from(error: administrator::Error) -> Self {
        conflict("administrator-refused", "The administrator's stage does not allow it").detail(error)
    }
}

impl From<link::Error> for Problem {
    fn from(error: link::Error) -> Self {
        conflict("link-refused", "The link's stage does not allow it").detail(error)
    }
}

impl From<subscription::Error> for Problem {
    fn from(error: subscription::Error) -> Self {
        conflict("subscription-refused", "The tenant can't subscribe now").detail(error)
    }
}

impl From<access_token::Error> for Problem {
    fn from(error: access_token::Error) -> Self {
        use access_token::Error;
        let forbidden = |code, pointer: &str| {
            let field = FieldError::new(pointer, &error);
            Self::new(StatusCode::FORBIDDEN, code, "More than the caller holds").errors(vec![field])
        };
        let problem = match &error {
            Error::NeverMade | Error::TenantOutOfReach => return not_found(),
            Error::AlreadyMade { .. } => conflict("token-exists", "The token exists"),
            Error::TooMany => conflict("too-many-tokens", "Too many tokens are alive"),
            Error::RoleNotHeld { .. } => forbidden("role-not-held", "/role"),
            Error::GroupNotHeld { .. } => forbidden("group-not-held", "/groups"),
            Error::OutlivesGranter { .. } => forbidden("lifetime-not-held", "/expiresInDays"),
            Error::RoleOfMsps { .. } => return validation(vec![FieldError::new("/role", &error)]),
        };
        problem.detail(error)
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied.answer() {
            Answer::Unauthorized => {
                let challenge = denied.www_authenticate().unwrap_or_default();
                Self::new(StatusCode::UNAUTHORIZED, denied.code(), "A valid bearer token is required")
                    .detail(denied)
                    .challenge(challenge)
            }
            Answer::Forbidden => Self::new(StatusCode::FORBIDDEN, denied.code(), "Forbidden").detail(denied),
            Answer::Unavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, denied.code(), "Temporarily unavailable")
                .retry_after(Denied::RETRY_AFTER_SECONDS),
        }
    }
}

impl From<TooMany> for Problem {
    fn from(refused: TooMany) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            .detail(refused)
            .retry_after(refused.retry_after_seconds)
    }
}

impl From<BadBody> for Problem {
    fn from(bad: BadBody) -> Self {
        match bad {
            BadBody::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large").detail(bad)
            }
            BadBody::UnsupportedMediaType => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body must be JSON")
                    .detail("send the body with Content-Type: application/json")
            }
            BadBody::Incomplete => bad_request("body-incomplete", "The body broke off").detail(bad),
            BadBody::Stopping => stopping(),
            BadBody::Malformed { .. } => bad_request("malformed-json", "The body is not valid JSON").detail(bad),
            BadBody::Field { pointer, reason } => validation(vec![FieldError { pointer, detail: reason }]),
        }
    }
}

impl From<BadQuery> for Problem {
    fn from(bad: BadQuery) -> Self {
        bad_request("invalid-parameter", "A query parameter is not valid").detail(bad)
    }
}

impl From<BadHeader> for Problem {
    fn from(bad: BadHeader) -> Self {
        bad_request("invalid-header", "A header is not valid").detail(bad)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, cause, "a view could not be read");
        unavailable()
    }
}
