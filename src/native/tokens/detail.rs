//! `GET /tokens/{tokenId}`.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use tenure_aggregates::AccessTokenId;
use tenure_projections::access_tokens;

use super::list::ListTokens;
use super::{TokenSummary, administers, scope};
use crate::native::call::Call;
use crate::native::errors;
use crate::native::problem::{Problem, ProblemSchema};

/// Show a token.
///
/// One that the caller made, or its own; for an MSP's administrator any of its tree.
#[utoipa::path(
    get, path = "/api/v1/tokens/{tokenId}", tag = "tokens", operation_id = "getToken",
    params(
        ("tokenId" = uuid::Uuid, Path, description = "The token's id, not the token itself"),
        ("Tenure-Min-Position" = Option<u64>, Header, description = "Wait until the views have passed this position"),
    ),
    responses(
        (status = 200, description = "The token, without the token itself", body = TokenSummary),
        (status = 404, description = "No such token here", body = ProblemSchema),
    ),
)]
pub async fn detail(call: Call<ListTokens>) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id: AccessTokenId = call.request.match_info().query("tokenId").parse().map_err(|_| errors::not_found())?;
    call.catch_up().await?;
    let (app, principal) = (&call.app, &call.principal);
    let scope = scope(&app.identity, principal)?;
    let record = access_tokens::find(&app.views, &scope.tokens, id).await?;
    // A tenant may have left the tree since.
    let record = record.filter(|record| !scope.runs_all || administers(&app.identity, principal, record.tenant_id));
    let record = record.ok_or_else(errors::not_found)?;
    let body = TokenSummary::of(&record, app.identity.gate().is_cut_off(id), app.clock.now());
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body))
}
