//! This dialect's OpenAPI 3.1 document, made from the handlers and shapes themselves.

use actix_web::HttpResponse;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::errors::ErrorBody;
use super::tenants::{TenantBody, create, delete, dns, invite, list, read, respond, subscription, unlink, update};
use crate::http::answers;
use crate::native::docs;

/// Answers that every operation can give besides.
const EVERYWHERE: [(&str, &str); 7] = [
    ("400", "A header or a parameter is not valid, or the body is not JSON"),
    ("401", "The token is missing or not valid"),
    ("403", "The token's role may not do this, or its tenant is not active"),
    ("404", "`?account=` names no tenant here"),
    ("429", "Too many requests; `Retry-After` says when the next one is possible"),
    ("500", "Internal error"),
    ("503", "Temporarily unavailable; `Retry-After` says when to try again"),
];

const TOO_LARGE: (&str, &str) = ("413", "The body is too large");
const NO_JSON: (&str, &str) = ("415", "The body is not JSON");

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
            for operation in [&mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
                answers::add(operation, [TOO_LARGE]);
            }
        }
        for operation in answers::operations(document) {
            let is_read = operation.request_body.is_some();
            answers::add(operation, EVERYWHERE.into_iter().chain(is_read.then_some(NO_JSON)));
            answers::describe_errors(operation, "application/json", "Error");
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
