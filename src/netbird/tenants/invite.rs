//! `POST /tenants/{id}/invite`.

use actix_web::HttpResponse;
use actix_web::web::Payload;

use super::{TenantBody, tenant};
use crate::dispatch::LinkRequest;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to ask existing accounts' owners.
pub struct InviteAccount;

impl Operation for InviteAccount {
    const ACTION: Action = Action::InviteAccount;
}

/// Invite an existing account.
///
/// Its owner accepts or declines. An account has one open invitation at a time.
#[utoipa::path(
    post, path = "/api/integrations/msp/tenants/{id}/invite", tag = "msp", operation_id = "inviteTenant",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "The tenant", body = TenantBody),
        (status = 404, description = "No such tenant here", body = ErrorBody),
        (status = 409, description = "Somebody else has invited the account", body = ErrorBody),
        (status = 412, description = "The tenant is no existing account", body = ErrorBody),
    ),
)]
pub async fn invite(call: Call<InviteAccount>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    // Clients send none, an empty one, or `{}`.
    call.read(payload).await?;
    tenant(&call.app.dispatcher.on_link(key, LinkRequest::Invite, call.command_context()).await?)
}
