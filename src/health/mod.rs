//! `/health/live` and `/health/ready`: for those who run the service, not for its users. No token, no personal data.
//!
//! Every part that is not well says so in a sentence: what is wrong, and what to do about it.

mod reasons;

use std::time::Duration;

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use serde::Serialize;
use tenure_event_log::Position;
use tenure_projections::ProjectionState;
use tenure_projections::export::{ExportState, ExportStatus};

use crate::app::App;
use crate::native::{at, reading};

/// How long the log may take to say where its head is.
const LOG_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// What the service can do right now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// True when no part has a reason against it.
    pub ready: bool,
    /// The reasons of all parts, the service's own first.
    pub reasons: Vec<String>,
    /// The release.
    pub version: &'static str,
    /// Whether the log can be read and written.
    pub log: LogHealth,
    /// Whether the gate has read the log within the last second.
    pub gate: GateHealth,
    /// One entry per projection.
    pub projections: Vec<ProjectionHealth>,
    /// The billing export, where brokers are configured. It turns no client away: the instance is ready without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<ExportHealth>,
}

/// How the billing export does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportHealth {
    /// `exporting`, `standby` (another instance exports), `connecting` or `stopped` (an operator has to decide).
    pub state: &'static str,
    /// The last position whose billing event is exported, as far as this instance knows.
    pub position: u64,
    /// Events of the log that are yet to be looked at; only the instance that exports knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_events: Option<u64>,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How the log does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogHealth {
    /// The last position, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// Why it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the last batch of appends was not written, a moment ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer_reason: Option<String>,
}

/// How the gate does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateHealth {
    /// False: tenants' people are answered 503.
    pub fresh: bool,
    /// Up to where it has read the log.
    pub position: u64,
    /// Why it is not fresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How one generation of one projection does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionHealth {
    /// The projection.
    pub name: String,
    /// Which build of it.
    pub generation: u32,
    /// Whether queries read it, or it is being built beside the one that they read.
    pub live: bool,
    /// Up to where it has applied the log.
    pub position: u64,
    /// Why it stands still, or is not far enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    let stopping = app.stopping.has_begun().then(reasons::stopping);
    let log = log(app).await;
    let gate = app.identity.gate();
    let gate = GateHealth {
        fresh: gate.is_fresh(),
        position: gate.position().get(),
        reason: match gate.rewritten() {
            Some(position) => Some(reasons::rewritten_log(position)),
            None => (!gate.is_fresh()).then(|| reasons::stale_gate(gate.age())),
        },
    };
    let projections = projections(app, log.head);
    let of_projections = projections
        .iter()
        .filter_map(|projection| Some(format!("Projection {}: {}", projection.name, projection.reason.as_ref()?)));
    let reasons: Vec<String> = stopping
        .into_iter()
        .chain(log.reason.clone())
        .chain(log.writer_reason.clone())
        .chain(gate.reason.clone())
        .chain(of_projections)
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let export = app.export.as_ref().map(|export| exporting(export.status(), log.head));
    Readiness { ready: reasons.is_empty(), reasons, version, log, gate, projections, export }
}

async fn log(app: &App) -> LogHealth {
    let (head, reason) = match tokio::time::timeout(LOG_ANSWERS_WITHIN, app.log.head()).await {
        Ok(Ok(head)) => (Some(head.get()), None),
        Ok(Err(error)) => (None, Some(reasons::unreadable_log(&error))),
        Err(_) => (None, Some(reasons::silent_log(LOG_ANSWERS_WITHIN))),
    };
    let failure = app.log.writer_stats().and_then(tenure_event_log::WriterStats::recent_failure);
    LogHealth { head, reason, writer_reason: failure.map(|failure| reasons::failing_writer(&failure)) }
}

fn exporting(status: ExportStatus, head: Option<u64>) -> ExportHealth {
    let knows = status.state != ExportState::Standby;
    ExportHealth {
        state: status.state.as_str(),
        position: status.exported.get(),
        lag_events: head.filter(|_| knows).map(|head| head.saturating_sub(status.passed.get())),
        reason: status.reason,
    }
}

fn projections(app: &App, head: Option<u64>) -> Vec<ProjectionHealth> {
    // A log that lost its end holds nothing more to apply.
    let wanted = head.map_or(app.views.due(), |head| app.views.due().min(Position::new(head)));
    let health = |status: tenure_projections::ProjectionStatus| {
        let live = status.state == ProjectionState::Live;
        let reason = match &status.problem {
            Some(problem) => Some(reasons::stopped_projection(problem)),
            // One that is being built holds nobody up.
            None if live && status.position < wanted => Some(reasons::behind(status.position, wanted)),
            None => None,
        };
        let stopped = status.problem.map(|problem| StoppedAt {
            position: problem.position.map(Position::get),
            event_type: problem.event_type,
            error: problem.error,
            attempts: problem.attempts,
        });
        let (name, position) = (status.name.to_owned(), status.position.get());
        ProjectionHealth { name, generation: status.generation, live, position, reason, stopped }
    };
    app.views.status().into_iter().map(health).collect()
}
