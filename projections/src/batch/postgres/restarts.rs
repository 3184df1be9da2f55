//! Whether the views' server was restarted: then their last batches, which are not flushed one by one, may be gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sqlx::PgConnection;

/// Counts restarts, as connections notice them: none outlives one, so every query after it comes by a new connection.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    /// When the server that was connected to last had started, as it says it.
    started: Mutex<Option<String>>,
    count: AtomicU64,
}

impl Restarts {
    /// Looks at a connection that was just made, before anybody asks anything on it.
    pub async fn connected(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        const STARTED: &str = "select pg_postmaster_start_time()::text || ' ' || coalesce(host(inet_server_addr()), '') \
                               || ' ' || coalesce(inet_server_port(), 0)";
        let now: String = sqlx::query_scalar(STARTED).fetch_one(connection).await?;
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.as_ref().is_some_and(|before| *before != now) {
            self.count.fetch_add(1, Ordering::SeqCst);
        }
        *started = Some(now);
        Ok(())
    }

    /// How many were noticed.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}
