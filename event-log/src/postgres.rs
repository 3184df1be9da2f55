//! The `PostgreSQL` engine: a pool for short reads, and one connection of the writer's own.
//!
//! Everything is read in single statements, page by page, so that no snapshot of ours stays open; the log is written only
//! through the functions of the migrations.

mod columns;
mod error;
mod read;
mod schema;
mod session;
mod write;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::sync::Mutex;

use crate::OpenError;
use write::WriterSlot;

pub(crate) use schema::migrate;

/// How long a reader waits for a connection. While the server is away this is how long it takes to say so.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked whether it still lives; a busy one need not be.
const TRUSTED_IDLE: Duration = Duration::from_millis(500);

/// A log on a `PostgreSQL` server. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
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
        let options = connect_options(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move { Ok(state.idle_for < TRUSTED_IDLE || connection.ping().await.is_ok()) })
            })
            .after_connect(|connection, _| Box::pin(session::for_reading(connection)))
            .connect_lazy_with(options.clone());
        if let Err(error) = schema::check(&pool).await {
            pool.close().await;
            return Err(error);
        }
        Ok(Self { pool, options: Arc::new(options), read_only, writer: Arc::default() })
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.writer.lock().await.close().await;
        self.pool.close().await;
    }
}

fn connect_options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| OpenError::Misconfigured {
        // The driver's message names the part that is wrong and never repeats the address, which holds a password.
        reason: format!("the PostgreSQL address can't be understood: {error}"),
    })?;
    Ok(options.application_name("tenure-log").disable_statement_logging())
}
