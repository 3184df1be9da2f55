//! The OpenAPI 3.1 document, made from the handlers and shapes themselves.

use actix_web::HttpResponse;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::tenants::{self, deprovision, detail, list, provision, reinstate, restore, suspend, update, usage};
use super::tokens::{create, detail as token_detail, list as list_tokens, revoke};
use super::{billing, me, problem, system};
use crate::http::answers;

/// Answers that every operation with a token can give.
const EVERYWHERE: [(&str, &str); 5] = [
    ("401", "The token is missing or not valid"),
    ("403", "The token's role may not do this, or its tenant is not active"),
    ("429", "Too many requests; `Retry-After` says when the next one is possible"),
    ("500", "Internal error; the body carries only the request's id"),
    ("503", "Temporarily unavailable; `Retry-After` says when to try again"),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tenure",
        description = "Tenants of a managed service provider: provision, suspend, reinstate, deprovision, bill.\n\n\
            Every error is an `application/problem+json` (RFC 9457) with a stable `code`. A command's answer waits until \
            the views show it; `Prefer: respond-async` skips the wait. POST takes an `Idempotency-Key`: a repeat within \
            24 hours gets the first answer. `reason` is business text and is billed and exported as it is: no personal data."
    ),
    paths(
        provision::provision, list::list, detail::detail, update::update, suspend::suspend, reinstate::reinstate,
        deprovision::deprovision, restore::restore, usage::report, billing::of_tenant, billing::of_msp,
        billing::reconciliation::reconcile, create::create, list_tokens::list,
        token_detail::detail, revoke::revoke, me::me, system::ping,
    ),
    components(schemas(problem::ProblemSchema, tenants::TenantDetail)),
    security(("bearer" = [])),
    modifiers(&Bearer, &CommonAnswers),
)]
struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT, or an access token (nbp_...)")
            .build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Answers that every operation with a body can give besides.
const WITH_BODY: [(&str, &str); 5] = [
    ("202", "Carried out; the views don't show it yet, or the caller would not wait. The body is that of the success"),
    ("400", "The body, a header or a parameter is not valid"),
    ("412", "`If-Match` names another version"),
    TOO_LARGE,
    NO_JSON,
];
const TOO_LARGE: (&str, &str) = ("413", "The body is too large");
const NO_JSON: (&str, &str) = ("415", "The body is not JSON");

/// Answers that every POST can give besides, because of its `Idempotency-Key`.
const WITH_KEY: [(&str, &str); 2] = [
    ("409", "Refused in the tenant's present state, or the same request is being answered right now"),
    ("422", "The `Idempotency-Key` came with another request before"),
];

/// Answers that every operation without a body can give besides.
const WITHOUT_BODY: [(&str, &str); 1] = [("400", "A header or a parameter is not valid")];

struct CommonAnswers;

impl Modify for CommonAnswers {
    fn modify(&self, document: &mut Document) {
        for item in document.paths.paths.values_mut() {
            let operations = [
                (&mut item.get, WITHOUT_BODY.to_vec()),
                (&mut item.post, [&WITH_BODY[..], &WITH_KEY].concat()),
                (&mut item.put, WITH_BODY.to_vec()),
                (&mut item.patch, WITH_BODY.to_vec()),
                (&mut item.delete, [&WITHOUT_BODY[..], &[TOO_LARGE, NO_JSON]].concat()),
            ];
            for (operation, besides) in operations {
                // An operation of its own security needs no token.
                if let Some(operation) = operation.as_mut().filter(|operation| operation.security.is_none()) {
                    answers::add(operation, EVERYWHERE.into_iter().chain(besides));
                }
            }
        }
        for operation in answers::operations(document) {
            answers::describe_accepted(operation);
            answers::describe_errors(operation, problem::MEDIA_TYPE, "Problem");
        }
    }
}

/// The document.
#[must_use]
pub fn document() -> Document {
    Api::openapi()
}

/// `GET /openapi.json`.
pub async fn document_json() -> HttpResponse {
    HttpResponse::Ok().json(document())
}
