//! `POST /msp/tenants/{tenantId}/suspend`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::tenant::Command;
use utoipa::ToSchema;

use super::{TenantDetail, answer, optional_reason};
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::problem::{Problem, ProblemSchema};

/// The right to lock a tenant's people out.
pub struct SuspendTenant;

impl Operation for SuspendTenant {
    const ACTION: Action = Action::SuspendTenant;
}

/// Why a tenant is suspended.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suspend {
    /// Business text of up to 200 characters. It is billed and exported as it is: no personal data.
    #[schema(example = "invoice 2026-031 unpaid", max_length = 200)]
    reason: Option<String>,
}

/// Suspend a tenant.
///
/// Its people are refused from this moment on, its modules are disconnected, its data is kept whole.
#[utoipa::path(
    post, path = "/api/v1/msp/tenants/{tenantId}/suspend", tag = "lifecycle", operation_id = "suspendTenant",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat get the first answer, for 24 hours"),
        ("If-Match" = Option<String>, Header, description = "Only if the tenant is at this version"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Option<Suspend>, content_type = "application/json"),
    responses(
        (status = 200, description = "The tenant, suspended", body = TenantDetail),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "The tenant is not active", body = ProblemSchema),
    ),
)]
pub async fn suspend(call: Call<SuspendTenant>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    let body = call.read(payload).await?;
    let reason = optional_reason(call.parse_optional::<Suspend>(&body)?.reason)?;
    let context = call.context(&body, StatusCode::OK, reason.as_ref())?;
    let wait = context.wait;
    let command = move |at| Command::Suspend { reason: reason.clone(), at };
    let outcome = call.app.dispatcher.on_tenant(call.scope_of(id), id, call.precondition()?, context, command).await?;
    answer(&call.app, outcome, StatusCode::OK, wait).await
}
