//! `PUT /msp/tenants/{tenantId}/usage`: the data plane reports what a tenant holds.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ETAG;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::tenant::Command;
use utoipa::ToSchema;

use super::fields;
use crate::dispatch::Wait;
use crate::http::conditional::{POSITION, etag};
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{FieldError, Problem, ProblemSchema};

/// The right to report a tenant's usage.
pub struct ReportUsage;

impl Operation for ReportUsage {
    const ACTION: Action = Action::ReportUsage;
}

/// Absolute counts, as of now.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Usage {
    /// Resources that the tenant manages.
    #[schema(example = 83, required = true, minimum = 0)]
    resources: Option<i64>,
    /// Grants that are active.
    #[schema(example = 12, required = true, minimum = 0)]
    grants: Option<i64>,
}

impl Usage {
    fn counts(self) -> Result<(u32, u32), Vec<FieldError>> {
        let mut checked = fields::Checked::default();
        let count = |number: i64| u32::try_from(number).map_err(|_| "must be 0 to 4294967295");
        let resources = checked.required("/resources", self.resources, count);
        let grants = checked.required("/grants", self.grants, count);
        checked.or((resources.unwrap_or_default(), grants.unwrap_or_default()))
    }
}

/// Report a tenant's usage.
///
/// The same counts again change nothing. The counts at the end of a month are that month's bill.
#[utoipa::path(
    put, path = "/api/v1/msp/tenants/{tenantId}/usage", tag = "usage", operation_id = "reportUsage",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("If-Match" = Option<String>, Header, description = "Only if the tenant is at this version"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Usage, content_type = "application/json"),
    responses(
        (status = 204, description = "Taken over"),
        (status = 202, description = "Taken over; the views don't show it yet"),
        (status = 400, description = "A count is missing or negative", body = ProblemSchema),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "The tenant is not active", body = ProblemSchema),
    ),
)]
pub async fn report(call: Call<ReportUsage>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    let body = call.read(payload).await?;
    let (resources, grants) = call.parse::<Usage>(&body)?.counts().map_err(errors::validation)?;
    let context = call.context(&body, StatusCode::NO_CONTENT, None)?;
    let wait = context.wait;
    let command = move |at| Command::ReportUsage { resources, grants, at };
    let outcome = call.app.dispatcher.on_tenant(call.scope_of(id), id, call.precondition()?, context, command).await?;
    let behind = outcome.position.is_some() && !outcome.in_views;
    let mut response = if behind { HttpResponse::Accepted() } else { HttpResponse::NoContent() };
    if let Some(position) = outcome.position {
        response.insert_header((POSITION, position.to_string()));
    }
    if wait == Wait::No {
        response.insert_header(("preference-applied", "respond-async"));
    }
    Ok(response.insert_header((ETAG, etag(outcome.tenant.sequence))).finish())
}
