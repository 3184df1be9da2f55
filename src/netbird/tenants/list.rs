//! `GET /tenants`.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tenure_aggregates::tenant::Stage;
use tenure_projections::links::{self, LinkRecord};

use super::TenantBody;
use super::read::ReadLink;
use crate::identity::Action;
use crate::netbird::call::Call;
use crate::netbird::errors::{ErrorBody, JSON, Refusal};

/// Rows that one statement reads.
const ROWS_PER_PAGE: u32 = 1_000;

/// List the MSP's tenants, the oldest first.
///
/// Those that are being deleted are not listed. Who has access by groups only sees the tenants that these are let into.
#[utoipa::path(
    get, path = "/api/integrations/msp/tenants", tag = "msp", operation_id = "listTenants",
    responses((status = 200, description = "All tenants", body = [TenantBody]), (status = 403, body = ErrorBody)),
)]
pub async fn list(call: Call<ReadLink>) -> Result<HttpResponse, Refusal> {
    call.catch_up().await?;
    let (identity, msp) = (&call.app.identity, call.principal.tenant);
    let sees_all = identity.permits(&call.principal, Action::ReadLink, msp);
    let is_shown = |link: &LinkRecord| match identity.gate().stage(link.tenant_id) {
        // One that the gate has not heard of yet is new.
        Some(Stage::Active | Stage::Suspended) | None => {
            sees_all || identity.permits(&call.principal, Action::ReadLink, link.tenant_id)
        }
        Some(Stage::Unprovisioned | Stage::Deprovisioning | Stage::Deleted) => false,
    };
    let (mut tenants, mut after) = (Vec::new(), None);
    loop {
        let page = links::list(&call.app.views, msp, after, ROWS_PER_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        tenants.extend(page.into_iter().filter(is_shown).filter_map(TenantBody::listed));
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).insert_header((CONTENT_TYPE, JSON)).json(tenants))
}
