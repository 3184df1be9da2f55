//! The `PostgreSQL` engine: a pool for short reads, and one connection of the writer's own.
//!
//! Everything is read in single statements, page by page, so that no snapshot of ours stays open; the log is written only
//! through the functions of the migrations.

mod columns;
mod error;
mod read;
mod schema;
mod servers;
mod session;
mod write;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio::sync::Mutex;

use crate::OpenError;
use write::WriterSlot;

pub(crate) use schema::migrate;
pub use servers::{PostgresServers, ServerWatch};

/// How long a reader waits for a connection. While the server is away this is how long it takes to say so.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked whether it still lives; a busy one need not be.
const TRUSTED_IDLE: Duration = Duration::from_millis(500);

/// A log on a `PostgreSQL` server. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    _watch: ServerWatch,
    servers: PostgresServers,
    read_only: bool,
    writer: Arc<Mutex<WriterSlot>>,
}

impl Postgres {
    /// Connects and checks that the schema fits this release.
    pub async fn open(url: &str, max_connections: u32) -> Result<Self, OpenError> {
        Self::connect(url, max_connections, false).await
    }

    /// As [`Postgres::open`]; nothing can be written.
    pub async fn open_read_only(url: &str, max_connections: u32) -> Result<Self, OpenError> {
        Self::connect(url, max_connections, true).await
    }

    async fn connect(url: &str, max_connections: u32, read_only: bool) -> Result<Self, OpenError> {
        let servers = servers(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move { Ok(state.idle_for < TRUSTED_IDLE || connection.ping().await.is_ok()) })
            })
            .after_connect({
                let servers = servers.clone();
                move |connection, _| {
                    let servers = servers.clone();
                    Box::pin(async move {
                        servers.refuse_standby(connection).await?;
                        session::for_reading(connection).await
                    })
                }
            });
        let (pool, watch) = servers.pool(pool, named).await.map_err(|error| OpenError::Unavailable(error.into()))?;
        if let Err(error) = schema::check(&pool).await {
            pool.close().await;
            return Err(error);
        }
        Ok(Self { pool, _watch: watch, servers, read_only, writer: Arc::default() })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writer.lock().await.close().await;
        self.pool.close().await;
    }
}

fn servers(url: &str) -> Result<PostgresServers, OpenError> {
    PostgresServers::parse(url).map_err(|error| OpenError::Misconfigured {
        reason: format!("the PostgreSQL address can't be understood: {error}"),
    })
}

fn named(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("tenure-log")
}
