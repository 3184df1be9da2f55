//! The rules of an append, looked at before anything of it is written, where a batch can't be written as a whole. There is no
//! other writer, so what holds at the look holds at the write; and members of the same batch that were written before are seen
//! too.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::rows::micros;
use crate::append::{Claim, LimitChange, Violation};
use crate::engine::{EngineError, KeyId, Offence, Prepared, StoredKey};
use crate::event::StreamId;

/// The first rule that the member breaks. A repeated request comes first: its answer is the first one's, whatever else
/// has changed since.
pub(super) fn first_offence(
    connection: &Connection,
    member: &Prepared,
    now: DateTime<Utc>,
) -> Result<Option<Offence>, EngineError> {
    if let Some(record) = &member.idempotency
        && is_answered(connection, &record.principal, &record.key, now)?
    {
        return Ok(Some(Violation::RequestRepeated.into()));
    }
    for stream in &member.streams {
        if sequence(connection, &stream.stream)? != stream.expected {
            return Ok(Some(
                Violation::StreamMoved { stream: stream.stream.clone(), expected: stream.expected }.into(),
            ));
        }
    }
    for guard in &member.unchanged {
        if sequence(connection, &guard.stream)? != guard.sequence {
            return Ok(Some(Violation::GuardMoved { stream: guard.stream.clone(), expected: guard.sequence }.into()));
        }
    }
    if let Some(tenant_id) = destroyed_key(connection, member)? {
        return Ok(Some(Violation::KeyDestroyed { tenant_id }.into()));
    }
    for key in &member.keys {
        if let Some(offence) = key_offence(connection, key)? {
            return Ok(Some(offence));
        }
    }
    for claim in &member.claims {
        if let Some(holder) = owner(connection, claim)?
            && !releases(member, claim, &holder)
        {
            return Ok(Some(Violation::ClaimTaken { scope: claim.scope.clone() }.into()));
        }
    }
    for claim in &member.releases {
        if owner(connection, claim)?.as_ref() != Some(&claim.owner) {
            return Ok(Some(Violation::ClaimNotHeld { scope: claim.scope.clone() }.into()));
        }
    }
    for limit in &member.limits {
        if limit_after(connection, limit)?.is_none() {
            return Ok(Some(Violation::LimitExceeded { scope: limit.scope.clone() }.into()));
        }
    }
    Ok(None)
}

/// What a limit's `used` and `max` become; `None` if that is not allowed.
pub(super) fn limit_after(connection: &Connection, change: &LimitChange) -> Result<Option<(i64, i64)>, EngineError> {
    let mut statement = connection.prepare_cached("SELECT used, max FROM quotas WHERE scope = ?1 AND key = ?2")?;
    let present: Option<(i64, i64)> =
        statement.query_row(params![change.scope, change.key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let used = present.map_or(0, |(used, _)| used).checked_add(change.delta);
    let max = change.max.or(present.map(|(_, max)| max));
    Ok(used.zip(max).filter(|(used, max)| (0..=*max).contains(used)))
}

/// The sequence of the stream's last event; 0 if there is none.
pub(super) fn sequence(connection: &Connection, stream: &StreamId) -> Result<u64, EngineError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(max(sequence), 0) FROM events WHERE aggregate_type = ?1 AND aggregate_id = ?2",
    )?;
    Ok(statement.query_row(params![stream.aggregate_type, stream.aggregate_id], |row| row.get(0))?)
}

fn is_answered(connection: &Connection, principal: &str, key: &str, now: DateTime<Utc>) -> Result<bool, EngineError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM idempotency WHERE principal = ?1 AND key = ?2 AND expires_at > ?3")?;
    Ok(statement.exists(params![principal, key, micros(now)])?)
}

fn owner(connection: &Connection, claim: &Claim) -> Result<Option<String>, EngineError> {
    super::reader::claim_owner(connection, &claim.scope, &claim.key)
}

/// What the same member releases is free for it to take.
fn releases(member: &Prepared, claim: &Claim, holder: &str) -> bool {
    member.releases.iter().any(|held| held.scope == claim.scope && held.key == claim.key && held.owner == holder)
}

/// A tenant under whose key the member seals, or makes a stream's, and whose key was destroyed.
pub(super) fn destroyed_key(connection: &Connection, member: &Prepared) -> Result<Option<Uuid>, EngineError> {
    let of_streams = member.keys.iter().filter(|key| matches!(key.id, KeyId::Stream(_))).map(|key| key.tenant_id);
    for tenant_id in member.sealed_tenants.iter().copied().chain(of_streams) {
        if brings_tenant_key(member, tenant_id) {
            continue;
        }
        let key = super::reader::keys(connection, &[KeyId::Tenant(tenant_id)])?;
        if key.iter().any(|key| key.wrapped.is_none()) {
            return Ok(Some(tenant_id));
        }
    }
    Ok(None)
}

/// A key may be made once.
fn key_offence(connection: &Connection, key: &StoredKey) -> Result<Option<Offence>, EngineError> {
    let stored = super::reader::keys(connection, std::slice::from_ref(&key.id))?;
    Ok(stored.first().map(|stored| match stored.wrapped {
        Some(_) => Offence::KeyExists,
        None => Violation::KeyDestroyed { tenant_id: key.tenant_id }.into(),
    }))
}

fn brings_tenant_key(member: &Prepared, tenant_id: Uuid) -> bool {
    member.keys.iter().any(|key| key.id == KeyId::Tenant(tenant_id))
}

impl From<Violation> for Offence {
    fn from(violation: Violation) -> Self {
        Self::Rule(violation)
    }
}
