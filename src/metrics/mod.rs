//! `GET /metrics`: figures for Prometheus. No token, and nothing that a token would protect: no tenant, no person, only
//! counts by route, lane and projection. Whoever wants to keep even those to himself gives it an address of its own.

pub mod http;
mod page;
mod process;
pub mod sampler;

use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App as HttpApp, HttpResponse, HttpServer};
use prometheus_client::encoding::prometheus_text;

use crate::app::App;
use crate::native::{at, nothing_here, reading};

/// Adds the route.
pub fn routes(config: &mut ServiceConfig) {
    config.service(at("/metrics", "GET, HEAD").route(reading().to(metrics)));
}

/// A server of its own, with nothing else on it.
///
/// # Errors
/// The listener can't be used.
pub fn serve(app: &Data<App>, listener: TcpListener) -> std::io::Result<Server> {
    let app = app.clone();
    let server = HttpServer::new(move || {
        HttpApp::new().app_data(app.clone()).configure(routes).default_service(web::to(nothing_here))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

async fn metrics(app: Data<App>) -> HttpResponse {
    match page::render(&app) {
        Ok(page) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, prometheus_text::CONTENT_TYPE))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(page),
        Err(error) => {
            tracing::error!(%error, "the metrics can't be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
