//! `POST /msp/tenants/{tenantId}/restore`: what support does when a customer asks in time.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::tenant::Command;
use utoipa::ToSchema;

use super::{TenantDetail, answer, optional_reason};
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{FieldError, Problem, ProblemSchema};

/// The right to bring a deprovisioned tenant back.
pub struct RestoreTenant;

impl Operation for RestoreTenant {
    const ACTION: Action = Action::RestoreTenant;
}

/// Why a tenant is restored.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// Business text of 1 to 200 characters. It is billed and exported as it is: no personal data.
    #[schema(example = "ticket 4711: deprovisioned by mistake", max_length = 200, required = true)]
    reason: Option<String>,
}

/// Restore a deprovisioned tenant, for the support role only.
///
/// Possible until `retentionEndsUtc`. The tenant comes back suspended; an MSP administrator reinstates it.
#[utoipa::path(
    post, path = "/api/v1/msp/tenants/{tenantId}/restore", tag = "lifecycle", operation_id = "restoreTenant",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat get the first answer, for 24 hours"),
        ("If-Match" = Option<String>, Header, description = "Only if the tenant is at this version"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Restore, content_type = "application/json"),
    responses(
        (status = 200, description = "The tenant, suspended", body = TenantDetail),
        (status = 400, description = "`reason` is missing or too long", body = ProblemSchema),
        (status = 403, description = "The caller is not support", body = ProblemSchema),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "The tenant is not deprovisioning, or its retention is over", body = ProblemSchema),
    ),
)]
pub async fn restore(call: Call<RestoreTenant>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    let body = call.read(payload).await?;
    let Some(reason) = optional_reason(call.parse_optional::<Restore>(&body)?.reason)? else {
        return Err(errors::validation(vec![FieldError::new("/reason", "is required")]));
    };
    let context = call.context(&body, StatusCode::OK, Some(&reason))?;
    let wait = context.wait;
    let command = move |at| Command::Restore { reason: reason.clone(), at };
    let outcome = call.app.dispatcher.on_tenant(call.scope_of(id), id, call.precondition()?, context, command).await?;
    answer(&call.app, outcome, StatusCode::OK, wait).await
}
