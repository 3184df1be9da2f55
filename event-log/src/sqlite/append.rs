//! One batch, one transaction, one flush. Each member is checked, then written, so that an offender leaves no trace.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use uuid::Uuid;

use super::{check, rows};
use crate::append::Appended;
use crate::engine::{BatchAnswer, EngineError, KeyId, Prepared, PreparedStream, StoredKey};
use crate::position::Position;

/// Writes what breaks no rule, and flushes only if there is such. An error other than [`EngineError::AnswerLost`] means
/// that nothing of the batch was written.
pub(super) fn append_batch(
    connection: &mut Connection,
    batch: &[Prepared],
    now: DateTime<Utc>,
) -> Result<BatchAnswer, EngineError> {
    // Immediate: a transaction that begins with a read can't be upgraded behind somebody else's write.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (before, last_recorded) = head(&transaction)?;
    let mut head = before;
    // Whether a request has expired is not judged by it: where the clock went back, all new ones would have.
    let recorded_at = now.max(last_recorded);
    let mut answer = Vec::with_capacity(batch.len());
    for member in batch {
        answer.push(match check::first_offence(&transaction, member, now)? {
            None => {
                let first = head.next();
                head = write(&transaction, member, head, recorded_at)?;
                Ok(Appended { first, last: head, recorded_at })
            }
            // A conflict with one's own command is no conflict.
            Some(offence) => committed(&transaction, member)?.ok_or(offence),
        });
    }
    if head == before {
        return Ok(answer);
    }
    forget_expired(&transaction, batch, now)?;
    transaction
        .prepare_cached("UPDATE log_head SET position = ?1, recorded_at = ?2")?
        .execute(params![head.get(), rows::micros(recorded_at)])?;
    transaction.commit().map_err(rows::commit_failed)?;
    Ok(answer)
}

/// Which members are in the log, each found by its own command id.
pub(super) fn find_committed(
    connection: &Connection,
    batch: &[Prepared],
) -> Result<Vec<Option<Appended>>, EngineError> {
    batch.iter().map(|member| committed(connection, member)).collect()
}

/// Changes the status of an idempotency record; false if there is none.
pub(super) fn remember_status(
    connection: &Connection,
    principal: &str,
    key: &str,
    status: u16,
) -> Result<bool, EngineError> {
    let mut statement =
        connection.prepare_cached("UPDATE idempotency SET status = ?3 WHERE principal = ?1 AND key = ?2")?;
    Ok(statement.execute(params![principal, key, status])? > 0)
}

/// Stores the fingerprint unless there is one, and answers which one there is.
pub(super) fn store_fingerprint(connection: &Connection, ours: &str) -> Result<String, EngineError> {
    let mut statement = connection.prepare(
        "UPDATE log_head SET master_key_fingerprint = coalesce(master_key_fingerprint, ?1)
         RETURNING master_key_fingerprint",
    )?;
    Ok(statement.query_row([ours], |row| row.get(0))?)
}

fn head(connection: &Connection) -> Result<(Position, DateTime<Utc>), EngineError> {
    let mut statement = connection.prepare_cached("SELECT position, recorded_at FROM log_head")?;
    Ok(statement.query_row([], |row| Ok((Position::new(row.get(0)?), rows::time(row, 1)?)))?)
}

/// Writes a member that breaks no rule, from the position after `head` on; answers the new head.
fn write(
    connection: &Connection,
    member: &Prepared,
    head: Position,
    recorded_at: DateTime<Utc>,
) -> Result<Position, EngineError> {
    let mut last = head;
    for stream in &member.streams {
        last = write_events(connection, stream, last, recorded_at)?;
    }
    for claim in &member.releases {
        connection
            .prepare_cached("DELETE FROM claims WHERE scope = ?1 AND key = ?2")?
            .execute(params![claim.scope, claim.key])?;
    }
    for claim in &member.claims {
        connection.prepare_cached("INSERT INTO claims (scope, key, owner) VALUES (?1, ?2, ?3)")?.execute(params![
            claim.scope,
            claim.key,
            claim.owner
        ])?;
    }
    for change in &member.limits {
        let Some((used, max)) = check::limit_after(connection, change)? else {
            return Err(EngineError::Corrupt(format!("limit {} changed between check and write", change.scope)));
        };
        connection
            .prepare_cached(
                "INSERT INTO quotas (scope, key, used, max) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (scope, key) DO UPDATE SET used = excluded.used, max = excluded.max",
            )?
            .execute(params![change.scope, change.key, used, max])?;
    }
    for key in &member.keys {
        write_key(connection, key)?;
    }
    for tenant_id in &member.erase_tenants {
        erase(connection, *tenant_id)?;
    }
    write_idempotency(connection, member)?;
    Ok(last)
}

fn write_events(
    connection: &Connection,
    stream: &PreparedStream,
    head: Position,
    recorded_at: DateTime<Utc>,
) -> Result<Position, EngineError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version,
             payload, metadata, recorded_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let mut position = head;
    for (sequence, event) in (stream.expected + 1..).zip(&stream.events) {
        position = position.next();
        statement.execute(params![
            position.get(),
            stream.stream.aggregate_type,
            stream.stream.aggregate_id,
            sequence,
            stream.tenant_id.as_bytes(),
            event.event_type,
            event.event_version,
            event.payload.text(),
            event.metadata.text(),
            rows::micros(recorded_at),
        ])?;
    }
    Ok(position)
}

fn write_key(connection: &Connection, key: &StoredKey) -> Result<(), EngineError> {
    let tenant_id = key.tenant_id.as_bytes();
    match &key.id {
        KeyId::Tenant(_) => connection
            .prepare_cached("INSERT INTO tenant_keys (tenant_id, wrapped) VALUES (?1, ?2)")?
            .execute(params![tenant_id, key.wrapped])?,
        KeyId::Stream(stream) => connection
            .prepare_cached(
                "INSERT INTO stream_keys (aggregate_type, aggregate_id, tenant_id, wrapped) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![stream.aggregate_type, stream.aggregate_id, tenant_id, key.wrapped])?,
    };
    Ok(())
}

/// Takes the bytes out of the tenant's keys. A tenant that never had a key gets a destroyed one, so that none is made
/// later.
fn erase(connection: &Connection, tenant_id: Uuid) -> Result<(), EngineError> {
    let tenant_id = tenant_id.as_bytes();
    connection
        .prepare_cached(
            "INSERT INTO tenant_keys (tenant_id, wrapped) VALUES (?1, NULL)
             ON CONFLICT (tenant_id) DO UPDATE SET wrapped = NULL",
        )?
        .execute([tenant_id])?;
    connection.prepare_cached("UPDATE stream_keys SET wrapped = NULL WHERE tenant_id = ?1")?.execute([tenant_id])?;
    Ok(())
}

fn write_idempotency(connection: &Connection, member: &Prepared) -> Result<(), EngineError> {
    let Some(record) = &member.idempotency else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO idempotency (principal, key, request_hash, aggregate_type, aggregate_id, sequence,
             status, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        record.principal,
        record.key,
        record.request_hash,
        record.stream.aggregate_type,
        record.stream.aggregate_id,
        record.sequence,
        record.status,
        rows::micros(record.expires_at),
    ])?;
    Ok(())
}

/// Takes out up to twice as many expired records as the batch brings, so that the table stays as long as a day is.
fn forget_expired(connection: &Connection, batch: &[Prepared], now: DateTime<Utc>) -> Result<(), EngineError> {
    let records = batch.iter().filter(|member| member.idempotency.is_some()).count();
    if records > 0 {
        connection
            .prepare_cached(
                "DELETE FROM idempotency WHERE (principal, key) IN (
                     SELECT principal, key FROM idempotency WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)",
            )?
            .execute(params![rows::micros(now), 2 * records])?;
    }
    Ok(())
}

/// The member as it stands in the log, if it was this very command that extended its first stream.
fn committed(connection: &Connection, member: &Prepared) -> Result<Option<Appended>, EngineError> {
    let Some(stream) = member.streams.first() else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT position, recorded_at, metadata FROM events
         WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence = ?3",
    )?;
    let found: Option<(u64, DateTime<Utc>, BTreeMap<String, String>)> = statement
        .query_row(params![stream.stream.aggregate_type, stream.stream.aggregate_id, stream.expected + 1], |row| {
            Ok((row.get(0)?, rows::time(row, 1)?, rows::parsed(row, 2)?))
        })
        .optional()?;
    let Some((first, recorded_at, metadata)) = found else { return Ok(None) };
    if metadata.get("command_id").is_none_or(|id| *id != member.command_id.to_string()) {
        return Ok(None);
    }
    let events: u64 = member.streams.iter().map(|stream| stream.events.len() as u64).sum();
    Ok(Some(Appended { first: Position::new(first), last: Position::new(first + events - 1), recorded_at }))
}
