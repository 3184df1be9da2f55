//! The native dialect: RP-PAM's MSP tenant API. Paths, DTOs and error bodies; the rules stand in `aggregates/`.

pub mod billing;
pub mod call;
pub mod contract;
pub mod docs;
pub mod errors;
pub mod me;
pub mod openapi;
pub mod problem;
pub mod system;
pub mod tenants;
pub mod tokens;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource};

use crate::http::call as route;
pub use crate::http::call::reading;
use call::Native;
use problem::Problem;
use tenants::{deprovision, detail, list, provision, reinstate, restore, suspend, update, usage};

/// Adds the dialect's routes, below `/api/v1`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/api/v1")
            .service(
                at("/msp/tenants", "GET, HEAD, POST")
                    .route(reading().to(list::list))
                    .route(web::post().to(provision::provision)),
            )
            .service(
                at("/msp/tenants/{tenantId}", "GET, HEAD, PATCH")
                    .route(reading().to(detail::detail))
                    .route(web::patch().to(update::update)),
            )
            .service(at("/msp/tenants/{tenantId}/suspend", "POST").route(web::post().to(suspend::suspend)))
            .service(at("/msp/tenants/{tenantId}/reinstate", "POST").route(web::post().to(reinstate::reinstate)))
            .service(at("/msp/tenants/{tenantId}/deprovision", "POST").route(web::post().to(deprovision::deprovision)))
            .service(at("/msp/tenants/{tenantId}/restore", "POST").route(web::post().to(restore::restore)))
            .service(at("/msp/tenants/{tenantId}/usage", "PUT").route(web::put().to(usage::report)))
            .service(at("/msp/tenants/{tenantId}/billing-events", "GET, HEAD").route(reading().to(billing::of_tenant)))
            .service(at("/msp/billing-events", "GET, HEAD").route(reading().to(billing::of_msp)))
            .service(
                at("/msp/billing-events/reconciliation", "GET, HEAD")
                    .route(reading().to(billing::reconciliation::reconcile)),
            )
            .service(
                at("/tokens", "GET, HEAD, POST")
                    .route(reading().to(tokens::list::list))
                    .route(web::post().to(tokens::create::create)),
            )
            .service(
                at("/tokens/{tokenId}", "GET, HEAD, DELETE")
                    .route(reading().to(tokens::detail::detail))
                    .route(web::delete().to(tokens::revoke::revoke)),
            )
            .service(at("/me", "GET, HEAD").route(reading().to(me::me)))
            .service(at("/system/health/ping", "GET, HEAD").route(reading().to(system::ping))),
    );
    config
        .service(at("/openapi.json", "GET, HEAD").route(reading().to(openapi::document_json)))
        .service(at("/asyncapi.json", "GET, HEAD").route(reading().to(contract::asyncapi_json)))
        .service(at("/schemas/billing/{type}.v1.json", "GET, HEAD").route(reading().to(contract::billing_schema)))
        .service(at("/docs", "GET, HEAD").route(reading().to(docs::page)));
}

/// A path with counters of its own; with another method than those in `methods` it answers 405.
pub fn at(path: &str, methods: &'static str) -> Resource {
    route::at::<Native>(path, methods)
}

/// The answer on a path that nothing serves.
///
/// # Errors
/// Always.
pub async fn nothing_here() -> Result<HttpResponse, Problem> {
    route::nothing_here::<Native>().await
}
