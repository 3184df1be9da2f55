//! `POST /msp/tenants/{tenantId}/reinstate`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use tenure_aggregates::tenant::Command;

use super::{TenantDetail, answer};
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::problem::{Problem, ProblemSchema};

/// The right to end a suspension.
pub struct ReinstateTenant;

impl Operation for ReinstateTenant {
    const ACTION: Action = Action::ReinstateTenant;
}

/// Reinstate a suspended tenant.
///
/// Its people can log in again. Grants that the suspension revoked stay revoked. `health` reads `reconnecting` for up to
/// 60 seconds.
#[utoipa::path(
    post, path = "/api/v1/msp/tenants/{tenantId}/reinstate", tag = "lifecycle", operation_id = "reinstateTenant",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat get the first answer, for 24 hours"),
        ("If-Match" = Option<String>, Header, description = "Only if the tenant is at this version"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    responses(
        (status = 200, description = "The tenant, active", body = TenantDetail),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "not suspended: the tenant is active, deprovisioning or deleted", body = ProblemSchema),
    ),
)]
pub async fn reinstate(call: Call<ReinstateTenant>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    let body = call.read(payload).await?;
    call.expect_no_body(&body)?;
    let context = call.context(&body, StatusCode::OK, None)?;
    let wait = context.wait;
    let command = |at| Command::Reinstate { at };
    let outcome = call.app.dispatcher.on_tenant(call.scope_of(id), id, call.precondition()?, context, command).await?;
    answer(&call.app, outcome, StatusCode::OK, wait).await
}
