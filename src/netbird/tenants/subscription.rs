//! `POST` and `PUT /tenants/{id}/subscription`: the same, whether there is one already or not.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::values::PriceId;
use utoipa::ToSchema;

use super::done;
use crate::dispatch::LinkRequest;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to choose what a tenant pays for.
pub struct ChangeSubscription;

impl Operation for ChangeSubscription {
    const ACTION: Action = Action::ChangeSubscription;
}

/// What the tenant pays for.
#[derive(Deserialize, ToSchema)]
pub struct Subscribe {
    /// A price's id.
    #[serde(rename = "priceID")]
    #[schema(example = "price_1HhxOpBzq4JbCqRmJxkpzL2V")]
    price_id: String,
}

/// Create a tenant's subscription.
///
/// Where there is one, its price changes; the same price again changes nothing.
#[utoipa::path(
    post, path = "/api/integrations/msp/tenants/{id}/subscription", tag = "msp", operation_id = "createSubscription",
    params(("id" = String, Path, description = "The tenant")),
    request_body(content = Subscribe, content_type = "application/json"),
    responses(
        (status = 200, description = "`{}`"),
        (status = 404, description = "No such tenant here", body = ErrorBody),
        (status = 412, description = "The tenant is not active", body = ErrorBody),
        (status = 422, description = "`priceID` is missing or not valid", body = ErrorBody),
    ),
)]
pub async fn subscribe(call: Call<ChangeSubscription>, payload: Payload) -> Result<HttpResponse, Refusal> {
    set_price(call, payload).await
}

/// Change a tenant's subscription.
#[utoipa::path(
    put, path = "/api/integrations/msp/tenants/{id}/subscription", tag = "msp", operation_id = "changeSubscription",
    params(("id" = String, Path, description = "The tenant")),
    request_body(content = Subscribe, content_type = "application/json"),
    responses(
        (status = 200, description = "`{}`"),
        (status = 404, description = "No such tenant here", body = ErrorBody),
        (status = 412, description = "The tenant is not active", body = ErrorBody),
        (status = 422, description = "`priceID` is missing or not valid", body = ErrorBody),
    ),
)]
pub async fn change(call: Call<ChangeSubscription>, payload: Payload) -> Result<HttpResponse, Refusal> {
    set_price(call, payload).await
}

async fn set_price(call: Call<ChangeSubscription>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let key = call.link()?;
    let body = call.read(payload).await?;
    let asked = call.parse::<Subscribe>(&body)?;
    let price = PriceId::parse(&asked.price_id).map_err(|why| Refusal::invalid("priceID", why))?;
    Ok(done(&call.app.dispatcher.on_link(key, LinkRequest::Subscribe(price), call.command_context()).await?))
}
