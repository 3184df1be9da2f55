//! The control socket of the embedded engine: the running service does for the command line what only one process may do.
//! A Unix socket in the data directory; who may open that directory may use it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App as HttpApp, HttpResponse, HttpServer};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use tenure_projections::export::{self, Order};
use tenure_projections::{ProjectionState, RebuildError, Views};

use crate::app::App;
use crate::config::Config;
use crate::stopping::Budget;

/// One line of `tenure projections list`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ProjectionLine {
    /// The projection.
    pub name: String,
    /// Which generation of its tables is live.
    pub generation: u32,
    /// Whether it is live or being built.
    pub live: bool,
    /// Up to where it has applied the log.
    pub position: u64,
    /// Why it stands still, if it does.
    pub stopped: Option<String>,
}

/// What became of one view that was rebuilt.
#[derive(Debug, Serialize, Deserialize)]
pub struct RebuildLine {
    /// The projection.
    pub name: String,
    /// Why its old tables are still in use, if they are.
    pub failure: Option<String>,
}

/// Where the socket of a data directory is.
#[must_use]
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Listens on the data directory's socket. The log's lock is held, so that a socket found there is a dead one's.
///
/// # Errors
/// The socket can't be made, for example because the path is longer than a socket's may be (107 bytes).
pub fn serve(config: &Config, app: &Data<App>) -> anyhow::Result<Server> {
    let path = socket_path(&config.data_dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} is in the way", path.display()));
        }
        _ => {}
    }
    let app = app.clone();
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(app.clone())
            .route("/projections", web::get().to(list))
            .route("/projections/rebuild/{names}", web::post().to(rebuild))
            .route("/billing/resume/{order}", web::post().to(resume_export))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(Budget::of(config.shutdown, config.drain).requests.as_secs())
    .bind_uds(&path)
    .with_context(|| format!("can't listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(server.run())
}

/// What `tenure projections list` shows.
#[must_use]
pub fn lines(views: &Views) -> Vec<ProjectionLine> {
    views
        .status()
        .into_iter()
        .map(|status| ProjectionLine {
            name: status.name.to_owned(),
            generation: status.generation,
            position: status.position.get(),
            live: status.state == ProjectionState::Live,
            stopped: status.problem.map(|problem| problem.to_string()),
        })
        .collect()
}

/// What `tenure projections rebuild` shows.
#[must_use]
pub fn rebuilds(outcomes: Vec<(&'static str, Result<(), RebuildError>)>) -> Vec<RebuildLine> {
    let line = |(name, outcome): (&str, Result<(), RebuildError>)| RebuildLine {
        name: name.to_owned(),
        failure: outcome.err().map(|error| format!("{:#}", anyhow::Error::from(error))),
    };
    outcomes.into_iter().map(line).collect()
}

async fn list(app: Data<App>) -> HttpResponse {
    HttpResponse::Ok().json(lines(&app.views))
}

/// The names stand side by side, separated by commas.
async fn rebuild(app: Data<App>, names: web::Path<String>) -> HttpResponse {
    let names: Vec<&str> = names.split(',').collect();
    match app.views.rebuild_together(&names).await {
        Ok(outcomes) => HttpResponse::Ok().json(rebuilds(outcomes)),
        Err(error) => HttpResponse::BadRequest().body(format!("{:#}", anyhow::Error::from(error))),
    }
}

/// The order as [`Order`] writes it.
async fn resume_export(app: Data<App>, order: web::Path<String>) -> HttpResponse {
    let Ok(order) = order.parse::<Order>() else { return HttpResponse::BadRequest().body("no such order") };
    match export::order(&app.views, order).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => HttpResponse::ServiceUnavailable().body(format!("{:#}", anyhow::Error::from(error))),
    }
}
