//! This dialect's OpenAPI 3.1 document, made from the handlers and shapes themselves.

use actix_web::HttpResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::errors::ErrorBody;
use super::tenants::{TenantBody, create, delete, dns, invite, list, read, respond, subscription, unlink, update};
use crate::native::docs;

/// Answers that every operation can give besides.
const EVERYWHERE: [(&str, &str); 6] = [
    ("400", "A header or a parameter is not valid, or the body is not JSON"),
    ("401", "The token is missing or not valid"),
    ("403", "The token's role may not do this, or its tenant is not active"),
    ("429", "Too many requests; `Retry-After` says when the next one is possible"),
    ("500", "Internal error"),
    ("503", "Temporarily unavailable; `Retry-After` says when to try again"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenure: NetBird MSP",
        description = "NetBird's MSP tenants: a client of NetBird's API works with another base URL and token.\n\n\
            Every error is `{\"message\", \"code\"}`. A command's answer waits until the views show it. `?account=` acts \
            inside a tenant."
    ),
    paths(
        list::list, create::create, read::read, update::update, delete::delete, unlink::unlink, dns::verify,
        subscription::subscribe, subscription::change, invite::invite, respond::respond,
    ),
    components(schemas(TenantBody, ErrorBody)),
    security(("bearer" = [])),
    modifiers(&Common),
)]
struct Api;

struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete] {
                for (status, description) in operation.is_some().then_some(EVERYWHERE).into_iter().flatten() {
                    let answer = ResponseBuilder::new().description(description).build();
                    if let Some(operation) = operation {
                        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| answer.into());
                    }
                }
            }
        }
    }
}

/// The document.
#[must_use]
pub fn document() -> Document {
    Api::openapi()
}

/// `GET /openapi/netbird.json`.
pub async fn document_json() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

/// `GET /docs/netbird`.
pub async fn page() -> HttpResponse {
    docs::page_of(document(), "/openapi/netbird.json")
}
