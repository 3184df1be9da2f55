//! `POST /tenants`.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore;
use serde::Deserialize;
use tenure_aggregates::values::{DnsChallenge, DomainName};
use utoipa::ToSchema;

use super::{Group, TenantBody, groups, name, nullable, tenant};
use crate::dispatch::LinkedAccount;
use crate::http::body::Object;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to make tenants.
pub struct CreateLink;

impl Operation for CreateLink {
    const ACTION: Action = Action::CreateLink;
}

/// A new tenant.
#[derive(Deserialize, ToSchema)]
pub struct Create {
    /// What the MSP calls it, 1 to 100 characters.
    #[schema(example = "My new tenant", max_length = 100)]
    name: String,
    /// Its domain.
    #[schema(example = "tenant.com")]
    domain: String,
    /// Which of the MSP's people may do what in it. Null for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(required = true, value_type = Option<Vec<Group>>)]
    groups: Option<Vec<Object<Group>>>,
}

/// More than anybody guesses.
const CHALLENGE_BYTES: usize = 32;

/// Make a tenant.
///
/// It is `pending` until its domain is verified, or `existing` if an account has verified the domain before.
#[utoipa::path(
    post, path = "/api/integrations/msp/tenants", tag = "msp", operation_id = "createTenant",
    request_body(content = Create, content_type = "application/json"),
    responses(
        (status = 200, description = "The new tenant", body = TenantBody),
        (status = 409, description = "The MSP has a tenant with this domain", body = ErrorBody),
        (status = 422, description = "A field is missing or not valid", body = ErrorBody),
    ),
)]
pub async fn create(call: Call<CreateLink>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let body = call.read(payload).await?;
    let asked = call.parse::<Create>(&body)?;
    let new = LinkedAccount {
        msp: call.principal.tenant,
        name: name(&asked.name)?,
        domain: DomainName::parse(&asked.domain).map_err(|why| Refusal::invalid("domain", why))?,
        groups: groups(asked.groups)?,
        dns_challenge: challenge()?,
    };
    tenant(&call.app.dispatcher.create_link(new, call.command_context()).await?)
}

fn challenge() -> Result<DnsChallenge, Refusal> {
    let mut random = [0; CHALLENGE_BYTES];
    rand::thread_rng().fill_bytes(&mut random);
    DnsChallenge::parse(&URL_SAFE_NO_PAD.encode(random)).map_err(|_| Refusal::internal())
}
