//! `GET /tenants`.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data};
use tenure_aggregates::tenant::Stage;
use tenure_projections::QueryError;
use tenure_projections::links::{self, LinkCursor, LinkRecord};

use super::TenantBody;
use super::read::ReadLink;
use crate::app::App;
use crate::http::pieces::{Pieces, body};
use crate::identity::{Action, Principal};
use crate::netbird::call::Call;
use crate::netbird::errors::{ErrorBody, JSON, Refusal};

/// Rows that one statement reads: a long list costs no more memory than this.
const ROWS_PER_PAGE: u32 = 200;

/// List the MSP's tenants, the oldest first.
///
/// Those that are being deleted are not listed. Who has access by groups only sees the tenants that these are let into.
#[utoipa::path(
    get, path = "/api/integrations/msp/tenants", tag = "msp", operation_id = "listTenants",
    responses((status = 200, description = "All tenants", body = [TenantBody]), (status = 403, body = ErrorBody)),
)]
pub async fn list(call: Call<ReadLink>) -> Result<HttpResponse, Refusal> {
    call.catch_up().await?;
    let Call { app, principal, .. } = call;
    let sees_all = app.identity.permits(&principal, Action::ReadLink, principal.tenant);
    let list = List { app, principal, sees_all, after: None, begun: false };
    let (first, rest) = list.next().await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_TYPE, JSON))
        .streaming(body(first, rest)))
}

/// A list that is being written, page by page.
struct List {
    app: Data<App>,
    principal: Principal,
    /// Whether the caller sees the MSP's tenants by its own role.
    sees_all: bool,
    after: Option<LinkCursor>,
    begun: bool,
}

impl List {
    fn is_shown(&self, link: &LinkRecord) -> bool {
        let identity = &self.app.identity;
        // One that the gate has not heard of yet is new.
        identity.gate().stage(link.tenant_id).is_none_or(Stage::is_present)
            && (self.sees_all || identity.permits(&self.principal, Action::ReadLink, link.tenant_id))
    }
}

impl Pieces for List {
    async fn next(mut self) -> Result<(Bytes, Option<Self>), QueryError> {
        let page = links::list(&self.app.views, self.principal.tenant, self.after, ROWS_PER_PAGE).await?;
        let is_last = page.len() < ROWS_PER_PAGE as usize;
        self.after = page.last().map(LinkRecord::cursor);
        let (mut bytes, mut begun) = (Vec::new(), self.begun);
        for tenant in page.into_iter().filter(|link| self.is_shown(link)).filter_map(TenantBody::listed) {
            bytes.push(if begun { b',' } else { b'[' });
            begun = true;
            serde_json::to_writer(&mut bytes, &tenant).map_err(|_| QueryError::Malformed)?;
        }
        self.begun = begun;
        if is_last {
            bytes.extend_from_slice(if begun { b"]" } else { b"[]" });
        }
        Ok((bytes.into(), (!is_last).then_some(self)))
    }
}
