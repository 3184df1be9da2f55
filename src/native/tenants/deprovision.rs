//! `POST /msp/tenants/{tenantId}/deprovision`.

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

/// The right to mark a tenant for deletion.
pub struct DeprovisionTenant;

impl Operation for DeprovisionTenant {
    const ACTION: Action = Action::DeprovisionTenant;
}

/// Confirms that this tenant is meant.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deprovision {
    /// The tenant's short code, exactly as it is shown.
    #[schema(example = "acme-corp", required = true)]
    confirm_short_code: Option<String>,
    /// Business text of up to 200 characters. It is billed and exported as it is: no personal data.
    #[schema(example = "contract ended", max_length = 200)]
    reason: Option<String>,
}

/// Mark a tenant for deletion.
///
/// All access ends at once. The data is kept, unreachable, until `retentionEndsUtc` and destroyed a day later.
#[utoipa::path(
    post, path = "/api/v1/msp/tenants/{tenantId}/deprovision", tag = "lifecycle", operation_id = "deprovisionTenant",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat get the first answer, for 24 hours"),
        ("If-Match" = Option<String>, Header, description = "Only if the tenant is at this version"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Deprovision, content_type = "application/json"),
    responses(
        (status = 200, description = "The tenant, deprovisioning", body = TenantDetail),
        (status = 400, description = "`confirmShortCode` is missing or not the exact short code", body = ProblemSchema),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "The tenant is already deprovisioning or deleted", body = ProblemSchema),
    ),
)]
pub async fn deprovision(call: Call<DeprovisionTenant>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    let body = call.read(payload).await?;
    let asked = call.parse_optional::<Deprovision>(&body)?;
    let Some(confirmation) = asked.confirm_short_code else {
        let missing = FieldError::new("/confirmShortCode", "is required: repeat the tenant's short code");
        return Err(errors::validation(vec![missing]));
    };
    let reason = optional_reason(asked.reason)?;
    let context = call.context(&body, StatusCode::OK, reason.as_ref())?;
    let wait = context.wait;
    let retention = call.app.dispatcher.settings().retention;
    let command = move |at| Command::Deprovision {
        confirm_short_code: confirmation.clone(),
        reason: reason.clone(),
        retention,
        at,
    };
    let outcome = call.app.dispatcher.on_tenant(call.scope_of(id), id, call.precondition()?, context, command).await?;
    answer(&call.app, outcome, StatusCode::OK, wait).await
}
