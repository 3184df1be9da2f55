//! The NetBird MSP dialect: paths, DTOs and error bodies; the rules stand in `aggregates/`.
//!
//! A tenant here is a link between the caller's MSP and an account, with the account's id.

pub mod call;
pub mod errors;
pub mod openapi;
pub mod tenants;

use actix_web::web::{self, ServiceConfig};

use crate::http::call::{nothing_here, reading};
use crate::native;
use call::{Netbird, at};
use tenants::{create, delete, dns, invite, list, read, respond, subscription, unlink, update};

/// Below this path everything is this dialect's, what is not there too.
const BASE: &str = "/api/integrations/msp";

/// Whether this dialect answers on the path.
pub fn serves(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Adds the dialect's routes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::scope(BASE)
            .service(
                at("/tenants", "GET, HEAD, POST").route(reading().to(list::list)).route(web::post().to(create::create)),
            )
            .service(
                at("/tenants/{id}", "GET, HEAD, PUT, DELETE")
                    .route(reading().to(read::read))
                    .route(web::put().to(update::update))
                    .route(web::delete().to(delete::delete)),
            )
            .service(at("/tenants/{id}/unlink", "POST").route(web::post().to(unlink::unlink)))
            .service(at("/tenants/{id}/dns", "POST").route(web::post().to(dns::verify)))
            .service(
                at("/tenants/{id}/subscription", "POST, PUT")
                    .route(web::post().to(subscription::subscribe))
                    .route(web::put().to(subscription::change)),
            )
            .service(
                at("/tenants/{id}/invite", "POST, PUT")
                    .route(web::post().to(invite::invite))
                    .route(web::put().to(respond::respond)),
            )
            .default_service(web::to(nothing_here::<Netbird>)),
    );
    config
        .service(native::at("/openapi/netbird.json", "GET, HEAD").route(reading().to(openapi::document_json)))
        .service(native::at("/docs/netbird", "GET, HEAD").route(reading().to(openapi::page)));
}
