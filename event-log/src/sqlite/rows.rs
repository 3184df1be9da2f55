//! How the log's types stand in SQLite's columns, and what a failure of SQLite's means to the log.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{ErrorCode, Row, ffi};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::engine::EngineError;
use crate::event::{Json, RecordedEvent, StreamId};
use crate::position::Position;

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(_) => Self::Corrupt(error.to_string()),
            rusqlite::Error::SqliteFailure(failure, _)
                if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
            {
                Self::Corrupt(error.to_string())
            }
            // Checked before, so it is a mistake of ours; it must not be tried for ever.
            rusqlite::Error::ToSqlConversionFailure(_) => Self::Refused(error.into()),
            rusqlite::Error::SqliteFailure(failure, _)
                if matches!(
                    failure.code,
                    ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch
                ) =>
            {
                Self::Refused(error.into())
            }
            _ => Self::Unavailable(error.into()),
        }
    }
}

/// What a failed COMMIT leaves behind. Only where the flush itself failed can the commit stand in the WAL all the same,
/// and come to life after a crash, unless the next one overwrites it.
pub(super) fn commit_failed(error: rusqlite::Error) -> EngineError {
    match error.sqlite_error() {
        Some(failure) if failure.extended_code == ffi::SQLITE_IOERR_FSYNC => EngineError::AnswerLost(error.into()),
        _ => error.into(),
    }
}

pub(super) fn micros(time: DateTime<Utc>) -> i64 {
    time.timestamp_micros()
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    let micros = row.get(column)?;
    DateTime::from_timestamp_micros(micros).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, micros))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    Ok(Uuid::from_bytes(row.get(column)?))
}

pub(super) fn stream(row: &Row<'_>, column: usize) -> rusqlite::Result<StreamId> {
    Ok(StreamId::new(row.get::<_, String>(column)?, row.get::<_, String>(column + 1)?))
}

pub(super) fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Json> {
    Json::new(row.get_ref(column)?.as_str()?).map_err(|error| no_json(column, error))
}

pub(super) fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| no_json(column, error))
}

fn no_json(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// Reads `position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload, metadata,
/// recorded_at`.
pub(super) fn recorded(row: &Row<'_>) -> rusqlite::Result<RecordedEvent> {
    Ok(RecordedEvent {
        position: Position::new(row.get(0)?),
        stream: stream(row, 1)?,
        sequence: row.get(3)?,
        tenant_id: uuid(row, 4)?,
        event_type: row.get::<_, String>(5)?.into(),
        event_version: row.get::<_, String>(6)?.into(),
        payload: json(row, 7)?,
        metadata: json(row, 8)?,
        recorded_at: time(row, 9)?,
    })
}
