//! `POST /tenants/{id}/unlink`.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::values::{SubjectId, UserId};
use utoipa::ToSchema;

use super::done;
use crate::dispatch::LinkRequest;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to let accounts go.
pub struct UnlinkAccount;

impl Operation for UnlinkAccount {
    const ACTION: Action = Action::UnlinkAccount;
}

/// Whose the account is then.
#[derive(Deserialize, ToSchema)]
pub struct Unlink {
    /// A user's id, as the subject of its tokens.
    #[schema(example = "google-oauth2|123456789012345678901")]
    owner: String,
}

/// Let an account go.
///
/// It lives on under its new owner, without an MSP and without a subscription.
#[utoipa::path(
    post, path = "/api/integrations/msp/tenants/{id}/unlink", tag = "msp", operation_id = "unlinkTenant",
    params(("id" = String, Path, description = "The tenant")),
    request_body(content = Unlink, content_type = "application/json"),
    responses(
        (status = 200, description = "`{}`"),
        (status = 404, description = "No such tenant here", body = ErrorBody),
        (status = 412, description = "The tenant is neither pending nor active, or suspended", body = ErrorBody),
        (status = 422, description = "`owner` is missing or not valid", body = ErrorBody),
    ),
)]
pub async fn unlink(call: Call<UnlinkAccount>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    let body = call.read(payload).await?;
    let asked = call.parse::<Unlink>(&body)?;
    let owner = UserId::parse(&asked.owner).map_err(|why| Refusal::invalid("owner", why))?;
    let owner_id = SubjectId::parse(&call.app.identity.subject_id(owner.as_str())).map_err(|_| Refusal::internal())?;
    let request = LinkRequest::Unlink { owner, owner_id };
    Ok(done(&call.app.dispatcher.on_link(key, request, call.command_context()).await?))
}
