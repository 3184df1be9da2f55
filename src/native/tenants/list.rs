//! `GET /msp/tenants`.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, LINK};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tenure_aggregates::tenant::Stage;
use tenure_projections::tenants::{self, Cursor, ListFilter, Page, TenantRecord};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Status, utc, utc_option};
use crate::http::query::{BadQuery, Query};
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::problem::{Problem, ProblemSchema};

/// The right to list tenants.
pub struct ListTenants;

impl Operation for ListTenants {
    const ACTION: Action = Action::ListTenants;
}

/// The statuses that a list can be narrowed to.
const STATUSES: &str = "active, suspended, deprovisioning or deleted";
/// Rows per page where the client doesn't say.
const DEFAULT_PAGE_SIZE: u32 = 50;
/// Most rows per page.
const MAX_PAGE_SIZE: u32 = 200;
/// Rows that can be reached by page number; those beyond by cursor.
const MAX_NUMBERED_ROWS: u64 = 10_000;

/// One tenant in a list: its metadata, without anything personal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantSummary {
    /// Id of the tenant.
    tenant_id: Uuid,
    /// Unique short code, lower case.
    #[schema(example = "acme-corp")]
    short_code: String,
    /// The organisation's name.
    #[schema(example = "Acme Corporation")]
    display_name: String,
    /// Where it stands in its life.
    status: Status,
    /// When it was provisioned.
    #[serde(serialize_with = "utc")]
    created_utc: DateTime<Utc>,
    /// Most users.
    max_users: u32,
    /// Most resources.
    max_resources: u32,
    /// Accepted administrators and unit users.
    current_users: u32,
    /// Resources in the last usage report.
    current_resources: u32,
    /// Enabled modules, by name.
    enabled_modules: Vec<String>,
    /// Time of the last event in the tenant.
    #[serde(serialize_with = "utc")]
    last_activity_utc: DateTime<Utc>,
    /// While suspended: since when.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_option")]
    suspended_utc: Option<DateTime<Utc>>,
    /// While deprovisioning: until when it can be restored.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_option")]
    retention_ends_utc: Option<DateTime<Utc>>,
}

impl TenantSummary {
    fn of(record: TenantRecord) -> Option<Self> {
        Some(Self {
            tenant_id: record.tenant_id.as_uuid(),
            short_code: record.short_code,
            display_name: record.display_name,
            status: Status::of(record.status)?,
            created_utc: record.created_at,
            max_users: record.max_users,
            max_resources: record.max_resources,
            current_users: record.current_users,
            current_resources: record.current_resources,
            enabled_modules: record.modules,
            last_activity_utc: record.last_activity_at,
            suspended_utc: record.suspended_at,
            retention_ends_utc: record.retention_ends_at,
        })
    }
}

/// What a list was asked for.
struct Asked {
    status: Option<Stage>,
    page: Page,
    size: u32,
}

impl Asked {
    fn of(mut query: Query) -> Result<Self, BadQuery> {
        let status = query.take::<String>("status", STATUSES)?.map(|name| stage(&name)).transpose()?;
        let size = query.take("pageSize", "a number from 1 to 200")?.unwrap_or(DEFAULT_PAGE_SIZE);
        if !(1..=MAX_PAGE_SIZE).contains(&size) {
            return Err(BadQuery::new("pageSize", "must be a number from 1 to 200"));
        }
        let number: Option<u32> = query.take("page", "a number from 1")?;
        let cursor: Option<Cursor> = query.take("after", "a cursor from a Link header")?;
        let page = match (number, cursor) {
            (Some(_), Some(_)) => return Err(BadQuery::new("after", "can't be given together with page")),
            (None, Some(cursor)) => Page::After { cursor, size },
            (number, None) => Page::Number { page: numbered(number.unwrap_or(1), size)?, size },
        };
        Ok(Self { status, page, size })
    }

    /// Where the list goes on after `cursor`.
    fn next(&self, cursor: &Cursor) -> String {
        let status = self.status.map_or_else(String::new, |status| format!("&status={status}"));
        format!("</api/v1/msp/tenants?pageSize={}{status}&after={cursor}>; rel=\"next\"", self.size)
    }
}

fn stage(name: &str) -> Result<Stage, BadQuery> {
    match name {
        "active" => Ok(Stage::Active),
        "suspended" => Ok(Stage::Suspended),
        "deprovisioning" => Ok(Stage::Deprovisioning),
        "deleted" => Ok(Stage::Deleted),
        _ => Err(BadQuery::new("status", format!("must be {STATUSES}"))),
    }
}

fn numbered(page: u32, size: u32) -> Result<u32, BadQuery> {
    if page < 1 {
        return Err(BadQuery::new("page", "must be a number from 1"));
    }
    if u64::from(page) * u64::from(size) > MAX_NUMBERED_ROWS {
        let reason =
            "page x pageSize reaches up to row 10000; go on with the Link header (rel=\"next\") of a page before";
        return Err(BadQuery::new("page", reason));
    }
    Ok(page)
}

/// List tenants, newest first.
///
/// `X-Total-Count` tells how many there are in all, `Link` where the next page is.
#[utoipa::path(
    get, path = "/api/v1/msp/tenants", tag = "tenants", operation_id = "listTenants",
    params(
        ("status" = Option<String>, Query, description = "active, suspended, deprovisioning or deleted; all if left out"),
        ("page" = Option<u32>, Query, minimum = 1, description = "From 1; page x pageSize up to 10,000"),
        ("pageSize" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 if left out"),
        ("after" = Option<String>, Query, description = "The cursor in a `Link` header, instead of `page`"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "Tenants", body = [TenantSummary],
            headers(("X-Total-Count" = u64), ("Link" = String))),
        (status = 400, description = "A parameter is unknown or not valid", body = ProblemSchema),
    ),
)]
pub async fn list(call: Call<ListTenants>) -> Result<HttpResponse, Problem> {
    let asked = Asked::of(call.query(&["status", "page", "pageSize", "after"])?)?;
    call.catch_up().await?;
    let filter = ListFilter { status: asked.status };
    let page = tenants::list(&call.app.views, call.principal.tenant, &filter, asked.page).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "no-store"));
    response.insert_header(("x-total-count", page.total));
    if let Some(cursor) = &page.next {
        response.insert_header((LINK, asked.next(cursor)));
    }
    let body: Vec<_> = page.tenants.into_iter().filter_map(TenantSummary::of).collect();
    Ok(response.json(body))
}
