//! One batch, one transaction, one flush.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::write::{Failure, Statements};
use super::{check, rows};
use crate::append::Appended;
use crate::engine::{BatchAnswer, EngineError, Prepared};
use crate::position::Position;

/// Writes what breaks no rule, and flushes only if there is such. An error other than [`EngineError::AnswerLost`] means
/// that nothing of the batch was written.
pub(super) fn append_batch(
    connection: &mut Connection,
    batch: &[Prepared],
    now: DateTime<Utc>,
) -> Result<BatchAnswer, EngineError> {
    if let Some(answer) = append_all(connection, batch, now)? {
        return Ok(answer);
    }
    // Each member is checked, then written, so that an offender leaves no trace.
    let transaction = begin(connection)?;
    let (before, last_recorded) = head(&transaction)?;
    let (mut head, recorded_at) = (before, now.max(last_recorded));
    let mut answer = Vec::with_capacity(batch.len());
    let mut statements = Statements::prepare(&transaction)?;
    for member in batch {
        answer.push(match check::first_offence(&transaction, member, now)? {
            None => {
                let first = head.next();
                head = statements.write(member, head, recorded_at, now).map_err(Failure::after_check)?;
                Ok(Appended { first, last: head, recorded_at })
            }
            // A conflict with one's own command is no conflict.
            Some(offence) => committed(&transaction, member)?.ok_or(offence),
        });
    }
    drop(statements);
    if head > before {
        finish(transaction, batch, head, recorded_at, now)?;
    }
    Ok(answer)
}

/// Writes the whole batch without a look at what its keys guard anyway. `None`, and nothing written, if any member breaks a
/// rule: which one, and which rule, is for a closer look.
fn append_all(
    connection: &mut Connection,
    batch: &[Prepared],
    now: DateTime<Utc>,
) -> Result<Option<BatchAnswer>, EngineError> {
    let transaction = begin(connection)?;
    let (mut head, last_recorded) = head(&transaction)?;
    let recorded_at = now.max(last_recorded);
    let mut answer = Vec::with_capacity(batch.len());
    let mut statements = Statements::prepare(&transaction)?;
    for member in batch {
        let first = head.next();
        head = match statements.write(member, head, recorded_at, now) {
            Ok(last) => last,
            Err(Failure::Rule(_)) => return Ok(None),
            Err(Failure::Engine(error)) => return Err(error),
        };
        answer.push(Ok(Appended { first, last: head, recorded_at }));
    }
    drop(statements);
    finish(transaction, batch, head, recorded_at, now)?;
    Ok(Some(answer))
}

/// Rolled back when dropped. Immediate: a transaction that begins with a read can't be upgraded behind somebody else's write.
fn begin(connection: &mut Connection) -> Result<Transaction<'_>, EngineError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

fn finish(
    transaction: Transaction<'_>,
    batch: &[Prepared],
    head: Position,
    recorded_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), EngineError> {
    forget_expired(&transaction, batch, now)?;
    transaction
        .prepare_cached("UPDATE log_head SET position = ?1, recorded_at = ?2")?
        .execute(params![head.get(), rows::micros(recorded_at)])?;
    transaction.commit().map_err(rows::commit_failed)
}

/// Which members are in the log, each found by its own command id. What is not found now never will be.
pub(super) fn settle(connection: &mut Connection, batch: &[Prepared]) -> Result<Vec<Option<Appended>>, EngineError> {
    let found = find_committed(connection, batch)?;
    if found.iter().any(Option::is_none) {
        overwrite_lost_commit(connection)?;
    }
    Ok(found)
}

/// Which members are in the log, each found by its own command id.
pub(super) fn find_committed(
    connection: &Connection,
    batch: &[Prepared],
) -> Result<Vec<Option<Appended>>, EngineError> {
    batch.iter().map(|member| committed(connection, member)).collect()
}

/// A commit whose flush failed counts for no reader, but stands in the WAL, and a crash would bring it to life. The next
/// transaction begins where it did, so one that changes as little as possible takes its place. The time of the last event,
/// which is a lower bound for the next one's, moves by the microsecond that makes it a change.
fn overwrite_lost_commit(connection: &mut Connection) -> Result<(), EngineError> {
    let transaction = begin(connection)?;
    transaction.execute("UPDATE log_head SET recorded_at = recorded_at + 1", [])?;
    transaction.commit()?;
    Ok(())
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
