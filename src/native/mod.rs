//! The native dialect: RP-PAM's MSP tenant API. Paths, DTOs and error bodies; the rules stand in `aggregates/`.

pub mod billing;
pub mod call;
pub mod docs;
pub mod errors;
pub mod me;
pub mod openapi;
pub mod problem;
pub mod system;
pub mod tenants;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource};

use problem::Problem;
use tenants::{deprovision, detail, list, provision, reinstate, restore, suspend, update, usage};

/// Adds the dialect's routes, below `/api/v1`.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope("/api/v1")
            .service(
                at("/msp/tenants", "GET, POST")
                    .route(web::get().to(list::list))
                    .route(web::post().to(provision::provision)),
            )
            .service(
                at("/msp/tenants/{tenantId}", "GET, PATCH")
                    .route(web::get().to(detail::detail))
                    .route(web::patch().to(update::update)),
            )
            .service(at("/msp/tenants/{tenantId}/suspend", "POST").route(web::post().to(suspend::suspend)))
            .service(at("/msp/tenants/{tenantId}/reinstate", "POST").route(web::post().to(reinstate::reinstate)))
            .service(at("/msp/tenants/{tenantId}/deprovision", "POST").route(web::post().to(deprovision::deprovision)))
            .service(at("/msp/tenants/{tenantId}/restore", "POST").route(web::post().to(restore::restore)))
            .service(at("/msp/tenants/{tenantId}/usage", "PUT").route(web::put().to(usage::report)))
            .service(at("/msp/tenants/{tenantId}/billing-events", "GET").route(web::get().to(billing::of_tenant)))
            .service(at("/msp/billing-events", "GET").route(web::get().to(billing::of_msp)))
            .service(at("/me", "GET").route(web::get().to(me::me)))
            .service(at("/system/health/ping", "GET").route(web::get().to(system::ping))),
    );
    config
        .service(at("/openapi.json", "GET").route(web::get().to(openapi::document_json)))
        .service(at("/docs", "GET").route(web::get().to(docs::page)));
}

/// A path; with another method than those in `methods` it answers 405.
fn at(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, Problem>(errors::method_not_allowed(methods))
    }))
}

/// The answer on a path that nothing serves.
///
/// # Errors
/// Always.
pub async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(errors::not_found())
}
