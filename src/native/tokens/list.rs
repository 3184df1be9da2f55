//! `GET /tokens`.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, LINK};
use tenure_aggregates::AccessTokenId;
use tenure_projections::access_tokens::{self, TokenRecord};

use super::{TokenSummary, administers, scope};
use crate::http::query::BadQuery;
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::problem::{Problem, ProblemSchema};

/// The right to see tokens.
pub struct ListTokens;

impl Operation for ListTokens {
    const ACTION: Action = Action::ListTokens;
}

/// Tokens per page where the client doesn't say.
const DEFAULT_PAGE_SIZE: u32 = 50;
/// Most tokens per page.
const MAX_PAGE_SIZE: u32 = 200;

/// List tokens, newest first.
///
/// Those that the caller made, and its own; for an MSP's administrator all of its tree. `Link` tells where the next page
/// is.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", operation_id = "listTokens",
    params(
        ("pageSize" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 if left out"),
        ("after" = Option<uuid::Uuid>, Query, description = "The cursor in a `Link` header"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "Tokens, without the tokens themselves", body = [TokenSummary],
            headers(("Link" = String))),
        (status = 400, description = "A parameter is unknown or not valid", body = ProblemSchema),
    ),
)]
pub async fn list(call: Call<ListTokens>) -> Result<HttpResponse, Problem> {
    let mut query = call.query(&["pageSize", "after"])?;
    let size = query.take("pageSize", "a number from 1 to 200")?.unwrap_or(DEFAULT_PAGE_SIZE);
    if !(1..=MAX_PAGE_SIZE).contains(&size) {
        return Err(BadQuery::new("pageSize", "must be a number from 1 to 200").into());
    }
    let after: Option<AccessTokenId> = query.take("after", "a cursor from a Link header")?;
    call.catch_up().await?;
    let (app, principal) = (&call.app, &call.principal);
    let scope = scope(&app.identity, principal)?;
    // One more than the page holds tells whether another page follows.
    let mut records = access_tokens::list(&app.views, &scope.tokens, after, size + 1).await?;
    let goes_on = records.len() > size as usize;
    records.truncate(size as usize);
    let mut response = HttpResponse::Ok();
    if let Some(last) = records.last().filter(|_| goes_on) {
        let next = format!("</api/v1/tokens?pageSize={size}&after={}>; rel=\"next\"", last.token_id);
        response.insert_header((LINK, next));
    }
    // A tenant may have left the tree since.
    records.retain(|record| !scope.runs_all || administers(&app.identity, principal, record.tenant_id));
    let now = app.clock.now();
    let is_cut_off = |record: &TokenRecord| app.identity.gate().is_cut_off(record.token_id);
    let body: Vec<_> = records.iter().map(|record| TokenSummary::of(record, is_cut_off(record), now)).collect();
    Ok(response.insert_header((CACHE_CONTROL, "no-store")).json(body))
}
