//! What a driver's error means for the log: was anything written, and may trying again help.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::engine::EngineError;

/// The writer's clock is off; raised by the batch function.
const CLOCK_SKEW: &str = "TN001";
/// The writer's session was fenced; raised by the batch function.
const FENCED: &str = "TN002";

/// An error of a statement that only reads.
pub(super) fn reading(error: sqlx::Error) -> EngineError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => EngineError::Corrupt(error.to_string()),
        _ => EngineError::Unavailable(error.into()),
    }
}

/// An error of the statement that writes a batch. Whatever is not the server's clear word that it rolled back leaves the
/// outcome open.
pub(super) fn writing(error: sqlx::Error) -> EngineError {
    match &error {
        sqlx::Error::Database(raised) => match raised.try_downcast_ref::<PgDatabaseError>() {
            Some(raised) if raised.severity() == PgSeverity::Error => rolled_back(error),
            // A fatal error may come after the commit and before its answer.
            _ => EngineError::AnswerLost(error.into()),
        },
        // Found before anything was sent.
        sqlx::Error::Encode(_) => EngineError::Refused(error.into()),
        _ => EngineError::AnswerLost(error.into()),
    }
}

fn rolled_back(error: sqlx::Error) -> EngineError {
    let raised = error.as_database_error().and_then(|raised| raised.try_downcast_ref::<PgDatabaseError>());
    let code = raised.map_or("", PgDatabaseError::code);
    match code {
        CLOCK_SKEW => {
            let skew_ms = raised.and_then(PgDatabaseError::detail).and_then(|detail| detail.parse().ok());
            EngineError::ClockSkew { skew_ms: skew_ms.unwrap_or(i64::MAX) }
        }
        FENCED => EngineError::Unavailable(error.into()),
        _ if is_passing(code) => EngineError::Unavailable(error.into()),
        _ => EngineError::Refused(error.into()),
    }
}

/// The server's state is wrong, not what the batch holds: read-only, deadlock or serialization, a right or a table that is
/// missing, out of resources, a lock not granted in time, cancelled or shutting down, an I/O error.
fn is_passing(code: &str) -> bool {
    ["08", "25", "40", "42", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
}

/// Whether the connection can be used after this error: only a plain error of the server leaves it in order.
pub(super) fn is_usable_after(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(raised) = error else { return false };
    raised
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|raised| raised.severity() == PgSeverity::Error && raised.code() != FENCED)
}

/// Whether a read failed because its connection was gone, so that another one may do better.
pub(super) fn is_stale_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(broken) => broken.kind() != std::io::ErrorKind::TimedOut,
        sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(raised) => raised.code().is_some_and(|code| code == "57P01" || code == "57P02"),
        _ => false,
    }
}
