//! Queries of the read-only connections: one statement each, read to its end before the call returns.

use cqrs_es::persist::SerializedEvent;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::rows;
use crate::append::IdempotencyRecord;
use crate::engine::{EngineError, KeyId, StoredKey, Wanted};
use crate::event::RecordedEvent;
use crate::position::Position;

pub(super) fn stream(
    connection: &Connection,
    aggregate_type: &str,
    aggregate_id: &str,
    after: u64,
) -> Result<Vec<SerializedEvent>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT aggregate_id, sequence, aggregate_type, event_type, event_version, payload, metadata FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence > ?3 ORDER BY sequence",
    )?;
    let events = statement.query_map(params![aggregate_type, aggregate_id, after], |row| {
        Ok(SerializedEvent::new(
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            rows::parsed(row, 5)?,
            rows::parsed(row, 6)?,
        ))
    })?;
    Ok(events.collect::<Result<_, _>>()?)
}

pub(super) fn page(
    connection: &Connection,
    what: Wanted,
    after: Position,
    limit: usize,
) -> Result<Vec<RecordedEvent>, EngineError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let events = match what {
        Wanted::Everything => connection
            .prepare_cached(
                "SELECT position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
                     metadata, recorded_at
                 FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
            )?
            .query_map(params![after.get(), limit], rows::recorded)?
            .collect::<Result<_, _>>()?,
        Wanted::Tenant(tenant) => connection
            .prepare_cached(
                "SELECT position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
                     metadata, recorded_at
                 FROM events WHERE tenant_id = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
            )?
            .query_map(params![tenant.as_bytes(), after.get(), limit], rows::recorded)?
            .collect::<Result<_, _>>()?,
        Wanted::Payloads => connection
            .prepare_cached(
                "SELECT position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
                     '{}', recorded_at
                 FROM events WHERE position > ?1 ORDER BY position LIMIT ?2",
            )?
            .query_map(params![after.get(), limit], rows::recorded)?
            .collect::<Result<_, _>>()?,
    };
    Ok(events)
}

pub(super) fn head(connection: &Connection) -> Result<Position, EngineError> {
    let position = connection.prepare_cached("SELECT position FROM log_head")?.query_row([], |row| row.get(0))?;
    Ok(Position::new(position))
}

pub(super) fn log_id(connection: &Connection) -> Result<Uuid, EngineError> {
    let text: String = connection.query_row("SELECT log_id FROM log_head", [], |row| row.get(0))?;
    text.parse().map_err(|_| EngineError::Corrupt(format!("the log's id {text:?} is no uuid")))
}

pub(super) fn fingerprint(connection: &Connection) -> Result<Option<String>, EngineError> {
    Ok(connection.query_row("SELECT master_key_fingerprint FROM log_head", [], |row| row.get(0))?)
}

pub(super) fn idempotency(
    connection: &Connection,
    principal: &str,
    key: &str,
) -> Result<Option<IdempotencyRecord>, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT principal, key, request_hash, aggregate_type, aggregate_id, sequence, status, expires_at
         FROM idempotency WHERE principal = ?1 AND key = ?2",
    )?;
    let record = statement.query_row(params![principal, key], |row| {
        Ok(IdempotencyRecord {
            principal: row.get(0)?,
            key: row.get(1)?,
            request_hash: row.get(2)?,
            stream: rows::stream(row, 3)?,
            sequence: row.get(5)?,
            status: row.get(6)?,
            expires_at: rows::time(row, 7)?,
        })
    });
    Ok(record.optional()?)
}

pub(super) fn claim_owner(connection: &Connection, scope: &str, key: &str) -> Result<Option<String>, EngineError> {
    let mut statement = connection.prepare_cached("SELECT owner FROM claims WHERE scope = ?1 AND key = ?2")?;
    Ok(statement.query_row(params![scope, key], |row| row.get(0)).optional()?)
}

pub(super) fn keys(connection: &Connection, ids: &[KeyId]) -> Result<Vec<StoredKey>, EngineError> {
    let mut of_tenant = connection.prepare_cached("SELECT tenant_id, wrapped FROM tenant_keys WHERE tenant_id = ?1")?;
    let mut of_stream = connection
        .prepare_cached("SELECT tenant_id, wrapped FROM stream_keys WHERE aggregate_type = ?1 AND aggregate_id = ?2")?;
    let mut stored = Vec::with_capacity(ids.len());
    for id in ids {
        let key = match id {
            KeyId::Tenant(tenant) => of_tenant.query_row([tenant.as_bytes()], key_columns),
            KeyId::Stream(stream) => {
                of_stream.query_row(params![stream.aggregate_type, stream.aggregate_id], key_columns)
            }
        };
        if let Some((tenant_id, wrapped)) = key.optional()? {
            stored.push(StoredKey { id: id.clone(), tenant_id, wrapped });
        }
    }
    Ok(stored)
}

fn key_columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Uuid, Option<Vec<u8>>)> {
    Ok((rows::uuid(row, 0)?, row.get(1)?))
}
