//! `DELETE /tenants/{id}`, which clients use though NetBird does not document it.

use actix_web::HttpResponse;
use actix_web::web::Payload;

use super::done;
use crate::dispatch::LinkRequest;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to give tenants up.
pub struct RemoveLink;

impl Operation for RemoveLink {
    const ACTION: Action = Action::RemoveLink;
}

/// Delete a tenant.
///
/// One that is `pending` or `active` is deprovisioned: its data is kept, unreachable, until its retention ends. One that is
/// `existing` or `invited` is only given up.
#[utoipa::path(
    delete, path = "/api/integrations/msp/tenants/{id}", tag = "msp", operation_id = "deleteTenant",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "`{}`"),
        (status = 404, description = "No such tenant here", body = ErrorBody),
    ),
)]
pub async fn delete(call: Call<RemoveLink>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    // Clients send none, or `{}`.
    call.read(payload).await?;
    Ok(done(&call.app.dispatcher.on_link(key, LinkRequest::Remove, call.command_context()).await?))
}
