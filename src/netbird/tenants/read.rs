//! `GET /tenants/{id}`, which clients use though NetBird does not document it.

use actix_web::HttpResponse;

use super::{TenantBody, tenant_now};
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to see tenants.
pub struct ReadLink;

impl Operation for ReadLink {
    const ACTION: Action = Action::ReadLink;
}

/// Show one tenant.
#[utoipa::path(
    get, path = "/api/integrations/msp/tenants/{id}", tag = "msp", operation_id = "readTenant",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "The tenant", body = TenantBody),
        (status = 404, description = "No such tenant here", body = ErrorBody),
    ),
)]
pub async fn read(call: Call<ReadLink>) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    call.catch_up().await?;
    tenant_now(key, call.app.dispatcher.read_link(key).await?)
}
