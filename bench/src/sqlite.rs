//! The embedded engine itself: the speed of bare single-row commits with the log's durability, and an open snapshot of a log.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, params};
use uuid::Uuid;

/// Rows per second when each is a transaction of its own, from one thread (SQLite has one writer anyhow).
///
/// # Errors
/// SQLite refuses.
pub fn single_row_commits(directory: &Path, measured: Duration) -> anyhow::Result<f64> {
    let connection = Connection::open(directory.join("single-rows.db"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "CREATE TABLE events (
             position INTEGER PRIMARY KEY, aggregate_type TEXT NOT NULL, aggregate_id TEXT NOT NULL,
             sequence INTEGER NOT NULL, tenant_id BLOB NOT NULL, event_type TEXT NOT NULL,
             event_version TEXT NOT NULL, payload TEXT NOT NULL, metadata TEXT NOT NULL, recorded_at INTEGER NOT NULL,
             UNIQUE (aggregate_type, aggregate_id, sequence)
         ) STRICT",
    )?;
    let (payload, metadata) = ("a".repeat(520), "b".repeat(350));
    let mut insert = connection.prepare(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
             metadata, recorded_at) VALUES ('tenant', ?1, 1, ?2, 'tenant.provisioned', '1', ?3, ?4, 0)",
    )?;
    let began = Instant::now();
    let mut rows = 0_u32;
    while began.elapsed() < measured {
        let id = Uuid::now_v7();
        insert.execute(params![id.to_string(), id.as_bytes(), payload, metadata])?;
        rows += 1;
    }
    Ok(f64::from(rows) / began.elapsed().as_secs_f64())
}

/// A reader that keeps the log as it is now, until it is dropped.
///
/// # Errors
/// SQLite refuses.
pub fn open_snapshot(directory: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open_with_flags(directory.join("log.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("BEGIN; SELECT position FROM log_head")?;
    Ok(connection)
}
