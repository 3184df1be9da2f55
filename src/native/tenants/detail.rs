//! `GET /msp/tenants/{tenantId}`.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, ETAG};
use tenure_projections::tenants;

use super::{Seen, TenantDetail};
use crate::http::conditional::etag;
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{Problem, ProblemSchema};

/// The right to look at one tenant.
pub struct ReadTenant;

impl Operation for ReadTenant {
    const ACTION: Action = Action::ReadTenant;
}

/// Show one tenant.
///
/// The fields come fresh from the log; the user count and the last activity come from the views.
#[utoipa::path(
    get, path = "/api/v1/msp/tenants/{tenantId}", tag = "tenants", operation_id = "readTenant",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "The tenant", body = TenantDetail, headers(("ETag" = String))),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
    ),
)]
pub async fn detail(call: Call<ReadTenant>) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    call.catch_up().await?;
    let tenant = call.app.dispatcher.read_tenant(call.scope_of(id), id).await?;
    let counts = tenants::counts(&call.app.views, id).await?;
    let created = tenant.state.account().map(|account| account.created_at);
    let seen = Seen {
        current_users: counts.as_ref().map_or(0, |counts| counts.current_users),
        last_activity: counts.map(|counts| counts.last_activity_at).or(created).ok_or_else(errors::not_found)?,
    };
    let body = TenantDetail::of(id, &tenant.state, &seen, call.app.clock.now()).ok_or_else(errors::not_found)?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, etag(tenant.sequence)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body))
}
