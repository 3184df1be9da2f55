//! `DELETE /tokens/{tokenId}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use tenure_aggregates::AccessTokenId;
use tenure_aggregates::access_token::Details;

use super::{administers, maker};
use crate::http::conditional::POSITION;
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{Problem, ProblemSchema};

/// The right to take tokens back.
pub struct RevokeToken;

impl Operation for RevokeToken {
    const ACTION: Action = Action::RevokeToken;
}

/// Revoke a token.
///
/// Who bears it is refused from this moment on, and who bears a token that was made with it, or with one of those. Revoking
/// it again changes nothing. Everybody revokes what they made, and the token that they ask with; an MSP's administrator all of
/// its tree.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{tokenId}", tag = "tokens", operation_id = "revokeToken",
    params(
        ("tokenId" = uuid::Uuid, Path, description = "The token's id, not the token itself"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    responses(
        (status = 204, description = "Revoked, now or before", headers(("Tenure-Position" = u64))),
        (status = 202, description = "Revoked; the views don't show it yet"),
        (status = 404, description = "No such token here", body = ProblemSchema),
    ),
)]
pub async fn revoke(call: Call<RevokeToken>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let body = call.read(payload).await?;
    call.expect_no_body(&body)?;
    let id: AccessTokenId = call.request.match_info().query("tokenId").parse().map_err(|_| errors::not_found())?;
    let context = call.context(&body, StatusCode::NO_CONTENT, None)?;
    let maker = maker(&call.principal)?;
    let (identity, principal) = (call.app.identity.clone(), call.principal.clone());
    let may = move |details: &Details| {
        let is_own = details.created_by == maker || principal.access_token == Some(id);
        is_own || administers(&identity, &principal, details.tenant_id)
    };
    let outcome = call.app.dispatcher.revoke_access_token(id, may, context).await?;
    let mut response = if outcome.in_views { HttpResponse::NoContent() } else { HttpResponse::Accepted() };
    if let Some(position) = outcome.position {
        response.insert_header((POSITION, position.to_string()));
    }
    Ok(response.finish())
}
