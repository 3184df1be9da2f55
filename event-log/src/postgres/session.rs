//! What every connection sets for itself, so that neither a server's nor a role's defaults can loosen it.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Error, Executor};
use uuid::Uuid;

use super::PostgresServers;

/// A network that swallows packets answers nothing at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The batch function's statements must never scan `events`, not even while it is so small that scanning looks cheap: the
/// plan is kept while the log grows. `lock_timeout` bounds the wait for the head behind an instance that hangs.
const WRITER_SETTINGS: &str = "
    set synchronous_commit = on;
    set default_transaction_isolation = 'read committed';
    set statement_timeout = 0;
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '10s';
    set tcp_keepalives_idle = 10;
    set tcp_keepalives_interval = 5;
    set tcp_keepalives_count = 3;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set plan_cache_mode = force_generic_plan;
    set jit = off";

/// What is read here is found by a key or a position: a plan made for a small table must not go on scanning it either.
const READER_SETTINGS: &str = "
    set default_transaction_isolation = 'read committed';
    set statement_timeout = '30s';
    set idle_in_transaction_session_timeout = '10s';
    set enable_seqscan = off;
    set jit = off";

/// The writer's connection, with the name by which it can be fenced.
pub(super) struct WriterSession {
    pub connection: PgConnection,
    pub id: Uuid,
}

impl WriterSession {
    /// Connects and prepares both statements, so that a batch is one round trip from the first on.
    pub async fn connect(servers: &PostgresServers) -> Result<Self, Error> {
        let connecting = async {
            let mut connection = servers.connect(super::named).await?;
            connection.execute(WRITER_SETTINGS).await?;
            connection.prepare(super::columns::APPEND_BATCH).await?;
            connection.prepare(super::write::FIND_COMMITTED).await?;
            Ok(Self { connection, id: Uuid::now_v7() })
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(Error::PoolTimedOut))
    }
}

pub(super) async fn for_reading(connection: &mut PgConnection) -> Result<(), Error> {
    connection.execute(READER_SETTINGS).await.map(drop)
}
