//! `POST /tenants/{id}/dns`.

use actix_web::HttpResponse;
use actix_web::web::Payload;

use super::done;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to prove domains.
pub struct VerifyDomain;

impl Operation for VerifyDomain {
    const ACTION: Action = Action::VerifyDomain;
}

/// Verify a tenant's domain.
///
/// Looks for a TXT record at the domain itself that holds `nb-verification=` and the tenant's `dns_challenge`.
#[utoipa::path(
    post, path = "/api/integrations/msp/tenants/{id}/dns", tag = "msp", operation_id = "verifyTenantDomain",
    params(("id" = String, Path, description = "The tenant")),
    responses(
        (status = 200, description = "`{}`: the tenant is active"),
        (status = 404, description = "No such tenant here", body = ErrorBody),
        (status = 409, description = "Another account has verified the domain", body = ErrorBody),
        (status = 412, description = "The tenant is an existing account", body = ErrorBody),
        (status = 501, description = "No such record, or it can't be looked up: see `message`; with `dns_challenge`",
            body = ErrorBody),
    ),
)]
pub async fn verify(call: Call<VerifyDomain>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    // Clients send none, an empty one, or `{}`.
    call.read(payload).await?;
    Ok(done(&call.app.dispatcher.verify_link(key, call.command_context()).await?))
}
