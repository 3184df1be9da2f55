//! The whole service, put together: log, views, gate, identity, dispatcher, scheduler and the HTTP server.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App as HttpApp, HttpServer};
use anyhow::Context;
use tenure_aggregates::Folded;
use tenure_aggregates::access_token::LastUse;
use tenure_event_log::{EngineConfig, EventLog, LogConfig, MasterKey};
use tenure_projections::access_tokens::{self, TokenRecord};
use tenure_projections::export::Export;
use tenure_projections::{Views, links, tenants};
use tokio::time::Instant;

use crate::app::App;
use crate::config::{Config, Mode};
use crate::dispatch::{Dispatcher, Settings};
use crate::dns::DomainProofs;
use crate::http::rate_limit::RateLimit;
use crate::http::{observe, tls};
use crate::identity::{Gate, GateStart, Identity, KnownToken, LinkStanding, Ownership, Standing};
use crate::metrics::http::HttpStats;
use crate::metrics::sampler::Sampler;
use crate::scheduler::Scheduler;
use crate::stopping::{Budget, Stopping};
use crate::telemetry::FLUSHED_WITHIN;
use crate::{bootstrap, control, health, metrics, native, netbird};

/// How long a connection stays open after an answer that came before the end of the request's body.
const LINGER: Duration = Duration::from_secs(5);

/// A service that is ready to run: it listens, but answers nobody before [`Application::run`].
pub struct Application {
    server: Server,
    /// The control socket and the metrics' own address, where there are such.
    beside: Vec<Server>,
    address: SocketAddr,
    app: Data<App>,
    scheduler: Scheduler,
    budget: Budget,
}

impl Application {
    /// Opens everything that `config` names, makes the MSPs of a first start and binds the listener. Port 0 binds a
    /// free port, see [`Application::address`].
    ///
    /// # Errors
    /// Says which part can't be opened, and why.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        let log = open_log(config).await?;
        let views = Views::open(config.views(), log.clone()).await.context("the views can't be opened")?;
        views.start();
        let gate = open_gate(&log, &views).await?;
        let identity = Identity::open(config, gate.clone()).await?;
        let settings = Settings {
            retention: config.retention,
            release_short_codes: config.release_short_codes,
            wait_for_views: config.view_wait,
        };
        let proofs = DomainProofs::asking(config.dns_server, config.dns_timeout);
        let dispatcher = Dispatcher::new(log.clone(), views.clone(), gate, settings, proofs);
        bootstrap::provision_msps(&dispatcher, &config.msps).await.context("the MSPs can't be provisioned")?;
        let scheduler = Scheduler::start(dispatcher.clone(), views.clone(), log.clock());

        let export = config.export.clone().map(|settings| Export::start(settings, &views));
        let sampler = Sampler::start(log.clone());
        let app = Data::new(App {
            log,
            views,
            export,
            identity,
            dispatcher,
            clock: config.clock(),
            rate_limit: RateLimit::per_minute(config.requests_per_minute),
            token_rate_limit: RateLimit::with_burst(config.token_requests_per_minute, config.token_burst),
            body_limit_bytes: config.body_limit_bytes,
            http: HttpStats::new(),
            sampler,
            stopping: Stopping::new(),
        });
        let listener = listen(config.listen)?;
        let address = listener.local_addr()?;
        let server = serve(config, &app, listener)?;
        let mut beside = Vec::new();
        match &config.engine {
            // Only this process may write the embedded engine's files: the command line asks it.
            EngineConfig::Sqlite { .. } => beside.push(control::serve(config, &app)?),
            EngineConfig::Postgres { .. } => {}
        }
        if let Some(address) = config.metrics_listen {
            let listener = listen(address)?;
            tracing::info!(address = %listener.local_addr()?, "the metrics listen");
            beside.push(metrics::serve(&app, listener)?);
        }
        Ok(Self { server, beside, address, app, scheduler, budget: Budget::of(config.shutdown, config.drain) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves; then answers what was accepted and closes everything, within the configured time.
    ///
    /// # Errors
    /// The HTTP server failed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { server, beside, app, scheduler, budget, .. } = self;
        let handles: Vec<ServerHandle> = std::iter::once(&server).chain(&beside).map(Server::handle).collect();
        let beside = futures::future::try_join_all(beside);
        let servers = async { tokio::try_join!(server, beside).map(drop) };
        tokio::pin!(servers);
        let result = tokio::select! {
            result = &mut servers => result,
            () = stop => {
                let deadline = Instant::now() + budget.total.saturating_sub(FLUSHED_WITHIN);
                tracing::info!(within_seconds = budget.total.as_secs(), "stopping");
                app.stopping.begin();
                let finished = tokio::select! {
                    result = &mut servers => result,
                    () = tokio::time::sleep(budget.drain) => {
                        app.stopping.close();
                        let stopped = futures::future::join_all(handles.iter().map(|handle| handle.stop(true)));
                        tokio::join!(stopped, servers).1
                    }
                };
                close(&app, scheduler, deadline).await;
                return Ok(finished?);
            }
        };
        close(&app, scheduler, Instant::now() + budget.total).await;
        Ok(result?)
    }
}

/// Closes what the servers stood on.
async fn close(app: &App, scheduler: Scheduler, deadline: Instant) {
    let closed = async {
        scheduler.stop().await;
        if let Some(export) = &app.export {
            export.shutdown().await;
        }
        // Who reads the log goes before it.
        app.views.shutdown().await;
        app.identity.gate().stop().await;
        app.log.shutdown().await;
    };
    if tokio::time::timeout_at(deadline, closed).await.is_err() {
        tracing::warn!("gave up waiting for the log and the views to close");
    }
}

async fn open_log(config: &Config) -> anyhow::Result<EventLog> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("the data directory {} can't be made", config.data_dir.display()))?;
    let master_key = MasterKey::load_or_create(&config.master_key_path())?;
    if config.mode == Mode::Development {
        EventLog::migrate(&config.engine).await.context("the database can't be migrated")?;
    }
    let log = LogConfig::new(config.engine.clone(), master_key, config.clock());
    EventLog::open(log).await.context("the log can't be opened")
}

async fn open_gate(log: &EventLog, views: &Views) -> anyhow::Result<Gate> {
    let stages = tenants::stages(views).await.context("the gate can't read the views")?;
    let grants = links::grants(views).await.context("the gate can't read the views")?;
    let live = access_tokens::live(views).await.context("the gate can't read the views")?;
    // Each view has come as far as it has: what one has passed already is taken over once more.
    let position = stages.position.min(grants.position).min(live.position);
    let mut start = GateStart { position, ..GateStart::default() };
    start.tokens.extend(live.tokens.into_iter().map(known_token));
    for tenant in stages.tenants {
        start.tenants.push((tenant.tenant_id, Standing { kind: tenant.kind, stage: tenant.status }));
        let owner = tenant.owner.map(Ownership::Owner).or(tenant.former_owner.map(Ownership::Former));
        start.owners.extend(owner.map(|owner| (tenant.tenant_id, owner)));
    }
    start.links.extend(grants.links.into_iter().map(|link| LinkStanding {
        msp: link.msp,
        account: link.tenant_id,
        stage: link.stage,
        groups: link.groups,
    }));
    Gate::start(log.clone(), start).await.context("the gate can't read the log")
}

fn known_token(record: TokenRecord) -> KnownToken {
    KnownToken {
        id: record.token_id,
        hash: record.hash,
        tenant: record.tenant_id,
        made_by: record.created_by,
        made_below: record.msp_id,
        role: record.role,
        groups: record.groups.into(),
        expires_at: record.expires_at,
        uses: Folded {
            state: record.last_used_at.map_or(LastUse::Never, |at| LastUse::Used { at }),
            sequence: record.uses,
        },
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("can't listen on {address}"))
}

fn serve(config: &Config, app: &Data<App>, listener: TcpListener) -> anyhow::Result<Server> {
    let app = app.clone();
    let metrics_apart = config.metrics_listen.is_some();
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(app.clone())
            .wrap(from_fn(observe::observe))
            .configure(health::routes)
            .configure(native::routes)
            .configure(netbird::routes)
            .configure(|routes| {
                if !metrics_apart {
                    metrics::routes(routes);
                }
            })
            .default_service(web::to(native::nothing_here))
    })
    .disable_signals()
    // Who is refused before its body is read gets the time to read why.
    .client_disconnect_timeout(LINGER)
    .server_hostname("tenure")
    .shutdown_timeout(Budget::of(config.shutdown, config.drain).requests.as_secs());
    let server = match &config.tls {
        None => server.listen(listener)?,
        Some(files) => server.listen_rustls_0_23(listener, tls::server_config(&files.certificate, &files.key)?)?,
    };
    Ok(server.run())
}
