//! `/health/live` and `/health/ready`: for those who run the service, not for its users. No token, no personal data.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use serde::Serialize;
use tenure_event_log::Position;

use crate::app::App;
use crate::native::{at, reading};

/// What the service can do right now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// True when everything below is well.
    pub ready: bool,
    /// Whether the log can be read: `ok` or what is wrong.
    pub log: String,
    /// The log's last position, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// Whether the gate has read the log within the last second.
    pub gate: GateHealth,
    /// One entry per projection.
    pub projections: Vec<ProjectionHealth>,
}

/// How the gate does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateHealth {
    /// False: tenants' people are answered 503.
    pub fresh: bool,
    /// Up to where it has read the log.
    pub position: u64,
}

/// How one projection does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionHealth {
    /// The projection.
    pub name: String,
    /// Up to where it has applied the log.
    pub position: u64,
    /// What stops it: its views stand still until that is repaired; commands go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedAt>,
}

/// Where and why a projection stands still.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoppedAt {
    /// Position of the event, if it is an event that stops it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What is wrong.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// Adds the routes.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(at("/health/live", "GET, HEAD").route(reading().to(live)))
        .service(at("/health/ready", "GET, HEAD").route(reading().to(ready)));
}

async fn live() -> impl Responder {
    HttpResponse::Ok().insert_header(("cache-control", "no-store")).body("live\n")
}

async fn ready(app: Data<App>) -> HttpResponse {
    let readiness = readiness(&app).await;
    let mut response = if readiness.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header(("cache-control", "no-store")).json(readiness)
}

/// Looks at every part.
pub async fn readiness(app: &App) -> Readiness {
    let head = app.log.head().await;
    let gate = app.identity.gate();
    let gate = GateHealth { fresh: gate.is_fresh(), position: gate.position().get() };
    let projections: Vec<_> = app
        .views
        .status()
        .into_iter()
        .map(|status| ProjectionHealth {
            name: status.name.to_owned(),
            position: status.position.get(),
            stopped: status.problem.map(|problem| StoppedAt {
                position: problem.position.map(Position::get),
                event_type: problem.event_type,
                error: problem.error,
                attempts: problem.attempts,
            }),
        })
        .collect();
    let caught_up = app.views.caught_up_at_start();
    let stopped = projections.iter().any(|projection| projection.stopped.is_some());
    Readiness {
        ready: head.is_ok() && gate.fresh && caught_up && !stopped,
        log: match &head {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        },
        head: head.ok().map(Position::get),
        gate,
        projections,
    }
}
