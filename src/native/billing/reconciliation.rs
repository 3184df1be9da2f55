//! `GET /msp/billing-events/reconciliation`: what a copy of the billing events has to add up to.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
use serde::Serialize;
use tenure_projections::billing::{MonthTotal, Reconciliation};
use tenure_projections::{QueryError, Views};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ReadBilling, filter};
use crate::http::conditional::POSITION;
use crate::http::pieces::{Pieces, body};
use crate::native::call::Call;
use crate::native::problem::{Problem, ProblemSchema};

const PARAMETERS: [&str; 2] = ["from", "to"];

/// The billing events of one tenant in one month.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BillingMonth {
    /// The tenant.
    tenant_id: Uuid,
    /// Its short code.
    #[schema(example = "acme-corp")]
    short_code: String,
    /// The calendar month (UTC) in which they occurred, as YYYY-MM.
    #[schema(example = "2026-04")]
    month: String,
    /// How many there are.
    count: u64,
    /// SHA-256, in lower-case hexadecimal, of their ids: lower-case, sorted, one line feed between two and none at the end.
    #[schema(example = "2e752fe0d7c4ca94d65c0e460a538717f26fc76bf9c721cb8a1b424d5d03b25d")]
    sha256: String,
}

impl From<MonthTotal> for BillingMonth {
    fn from(total: MonthTotal) -> Self {
        Self {
            tenant_id: total.tenant_id.as_uuid(),
            short_code: total.short_code,
            month: total.month.to_string(),
            count: total.count,
            sha256: total.sha256,
        }
    }
}

/// Sum up the billing events of all tenants by month.
///
/// Count and fingerprint per tenant and calendar month, ordered by tenant and month, so that whoever keeps a copy can prove
/// that it is whole. Events up to the position in `Tenure-Position` are counted.
#[utoipa::path(
    get, path = "/api/v1/msp/billing-events/reconciliation", tag = "billing", operation_id = "reconcileBilling",
    params(
        ("from" = Option<String>, Query, description = "First day (YYYY-MM-DD, UTC) or moment (RFC 3339), inclusive"),
        ("to" = Option<String>, Query, description = "Last day or moment, inclusive"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "Months that have events", body = [BillingMonth]),
        (status = 400, description = "A bad range", body = ProblemSchema),
    ),
)]
pub async fn reconcile(call: Call<ReadBilling>) -> Result<HttpResponse, Problem> {
    let (from, to) = filter::range(&mut call.query(&PARAMETERS)?)?;
    call.catch_up().await?;
    let views = call.app.views.clone();
    let months = Reconciliation::begin(&views, call.principal.tenant, from, to).await?;
    let position = months.position();
    let (first, rest) = Months { views, totals: months, begun: false }.next().await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((POSITION, position.to_string()))
        .streaming(body(first, rest)))
}

struct Months {
    views: Views,
    totals: Reconciliation,
    begun: bool,
}

impl Pieces for Months {
    async fn next(mut self) -> Result<(Bytes, Option<Self>), QueryError> {
        let Some(totals) = self.totals.next(&self.views).await? else {
            return Ok((Bytes::from_static(if self.begun { b"]" } else { b"[]" }), None));
        };
        let mut bytes = Vec::with_capacity(200 * totals.len());
        for total in totals {
            bytes.push(if self.begun { b',' } else { b'[' });
            serde_json::to_writer(&mut bytes, &BillingMonth::from(total)).map_err(|_| QueryError::Malformed)?;
            self.begun = true;
        }
        Ok((bytes.into(), Some(self)))
    }
}
