//! `PUT /tenants/{id}`.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Group, TenantBody, groups, name, nullable, tenant};
use crate::dispatch::LinkRequest;
use crate::http::body::Object;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to change tenants.
pub struct UpdateLink;

impl Operation for UpdateLink {
    const ACTION: Action = Action::UpdateLink;
}

/// What a tenant is called and whom it lets in from now on. Its domain stays.
#[derive(Deserialize, ToSchema)]
pub struct Update {
    /// What the MSP calls it, 1 to 100 characters.
    #[schema(example = "My new tenant", max_length = 100)]
    name: String,
    /// Which of the MSP's people may do what in it. Null for none.
    #[serde(deserialize_with = "nullable")]
    #[schema(required = true, value_type = Option<Vec<Group>>)]
    groups: Option<Vec<Object<Group>>>,
}

/// Change a tenant.
#[utoipa::path(
    put, path = "/api/integrations/msp/tenants/{id}", tag = "msp", operation_id = "updateTenant",
    params(("id" = String, Path, description = "The tenant")),
    request_body(content = Update, content_type = "application/json"),
    responses(
        (status = 200, description = "The tenant", body = TenantBody),
        (status = 404, description = "No such tenant here", body = ErrorBody),
        (status = 412, description = "The tenant is neither pending nor active", body = ErrorBody),
        (status = 422, description = "A field is missing or not valid", body = ErrorBody),
    ),
)]
pub async fn update(call: Call<UpdateLink>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    let body = call.read(payload).await?;
    let asked = call.parse::<Update>(&body)?;
    let request = LinkRequest::Update { name: name(&asked.name)?, groups: groups(asked.groups)? };
    tenant(&call.app.dispatcher.on_link(key, request, call.command_context()).await?)
}
