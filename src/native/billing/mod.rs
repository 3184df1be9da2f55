//! `GET /msp/billing-events` and `GET /msp/tenants/{tenantId}/billing-events`.

mod filter;
mod format;
pub mod reconciliation;
mod shape;

use actix_web::HttpResponse;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use actix_web::web::Bytes;
use tenure_projections::billing::{BillingPages, BillingScope};
use tenure_projections::{QueryError, Views};

use super::call::{Call, Operation};
use super::problem::{Problem, ProblemSchema};
use crate::http::pieces::{Pieces, body};
use crate::identity::Action;
use filter::Asked;
use format::Format;
use shape::BillingEvent;

/// The right to read billing events.
pub struct ReadBilling;

impl Operation for ReadBilling {
    const ACTION: Action = Action::ReadBilling;
}

/// Rows that one statement reads: a long list costs no more memory than this.
const ROWS_PER_PAGE: u32 = 500;

/// List the billing events of one tenant, oldest first.
///
/// All of them, streamed, or `limit` of them after position `after`.
#[utoipa::path(
    get, path = "/api/v1/msp/tenants/{tenantId}/billing-events", tag = "billing", operation_id = "tenantBillingEvents",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("from" = Option<String>, Query, description = "First day (YYYY-MM-DD, UTC) or moment (RFC 3339), inclusive"),
        ("to" = Option<String>, Query, description = "Last day or moment, inclusive"),
        ("type" = Option<String>, Query, description = "Only events of this type, or of these, separated by commas"),
        ("after" = Option<u64>, Query, description = "Only events after this position"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "At most so many events, 1 to 10,000"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "Billing events; also as text/csv and application/x-ndjson", body = [BillingEvent]),
        (status = 400, description = "A bad range or an unknown type", body = ProblemSchema),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
    ),
)]
pub async fn of_tenant(call: Call<ReadBilling>) -> Result<HttpResponse, Problem> {
    let asked = Asked::of(call.query(&filter::PARAMETERS)?)?;
    let tenant = call.tenant_id()?;
    call.app.dispatcher.read_tenant(call.scope_of(tenant), tenant).await?;
    respond(&call, BillingScope::Customer { msp: call.principal.tenant, tenant }, asked).await
}

/// List the billing events of all tenants, oldest first.
///
/// All of them, streamed, or `limit` of them after position `after`.
#[utoipa::path(
    get, path = "/api/v1/msp/billing-events", tag = "billing", operation_id = "billingEvents",
    params(
        ("from" = Option<String>, Query, description = "First day (YYYY-MM-DD, UTC) or moment (RFC 3339), inclusive"),
        ("to" = Option<String>, Query, description = "Last day or moment, inclusive"),
        ("type" = Option<String>, Query, description = "Only events of this type, or of these, separated by commas"),
        ("after" = Option<u64>, Query, description = "Only events after this position"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000, description = "At most so many events, 1 to 10,000"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "Billing events; also as text/csv and application/x-ndjson", body = [BillingEvent]),
        (status = 400, description = "A bad range or an unknown type", body = ProblemSchema),
    ),
)]
pub async fn of_msp(call: Call<ReadBilling>) -> Result<HttpResponse, Problem> {
    let asked = Asked::of(call.query(&filter::PARAMETERS)?)?;
    respond(&call, BillingScope::Msp(call.principal.tenant), asked).await
}

async fn respond(call: &Call<ReadBilling>, scope: BillingScope, asked: Asked) -> Result<HttpResponse, Problem> {
    call.catch_up().await?;
    let format = Format::wanted(call.request.headers().get(ACCEPT));
    let list = List {
        views: call.app.views.clone(),
        pages: BillingPages::new(scope, asked.filter, asked.after),
        remaining: asked.limit,
        format,
        begun: false,
    };
    let (first, rest) = list.next().await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.media_type()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((VARY, "Accept"))
        .streaming(body(first, rest)))
}

/// A list that is being written, page by page.
struct List {
    views: Views,
    pages: BillingPages,
    remaining: Option<u32>,
    format: Format,
    begun: bool,
}

impl Pieces for List {
    async fn next(mut self) -> Result<(Bytes, Option<Self>), QueryError> {
        let limit = self.remaining.unwrap_or(u32::MAX).min(ROWS_PER_PAGE);
        let page = self.pages.next(&self.views, limit).await?;
        let read = u32::try_from(page.len()).unwrap_or(u32::MAX);
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(read);
        }
        let is_last = read < limit || self.remaining == Some(0);
        let bytes = self.format.write(&page, !self.begun, is_last).map_err(|_| QueryError::Malformed)?;
        self.begun = self.begun || read > 0;
        Ok((bytes.into(), (!is_last).then_some(self)))
    }
}
