//! The rows of an append. What their keys guard nobody looks at before; what keys don't guard is looked at here.

use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, Connection, ErrorCode, params};
use uuid::Uuid;

use super::{check, rows};
use crate::append::{Claim, IdempotencyRecord, LimitChange};
use crate::engine::{EngineError, KeyId, Prepared, PreparedStream, StoredKey};
use crate::position::Position;

/// Why a member was not written, or not all of it.
pub(super) enum Failure {
    /// It breaks a rule, or a constraint of the tables.
    Rule(Option<rusqlite::Error>),
    Engine(EngineError),
}

impl Failure {
    /// What it is to those who have found that no rule is broken.
    pub fn after_check(self) -> EngineError {
        match self {
            Self::Rule(Some(error)) => error.into(),
            Self::Rule(None) => EngineError::Corrupt("a rule that held at the check is broken at the write".to_owned()),
            Self::Engine(error) => error,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Rule(Some(error)),
            _ => Self::Engine(error.into()),
        }
    }
}

/// What nearly every append does, prepared once for a batch.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    event: CachedStatement<'c>,
    claim: CachedStatement<'c>,
    tenant_key: CachedStatement<'c>,
    stream_key: CachedStatement<'c>,
    idempotency: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    pub fn prepare(connection: &'c Connection) -> Result<Self, EngineError> {
        Ok(Self {
            connection,
            event: connection.prepare_cached(
                "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, tenant_id, event_type,
                     event_version, payload, metadata, recorded_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?,
            claim: connection.prepare_cached("INSERT INTO claims (scope, key, owner) VALUES (?1, ?2, ?3)")?,
            tenant_key: connection.prepare_cached("INSERT INTO tenant_keys (tenant_id, wrapped) VALUES (?1, ?2)")?,
            stream_key: connection.prepare_cached(
                "INSERT INTO stream_keys (aggregate_type, aggregate_id, tenant_id, wrapped) VALUES (?1, ?2, ?3, ?4)",
            )?,
            idempotency: connection.prepare_cached(
                "INSERT INTO idempotency (principal, key, request_hash, aggregate_type, aggregate_id, sequence, status,
                     expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (principal, key) DO UPDATE SET request_hash = excluded.request_hash,
                     aggregate_type = excluded.aggregate_type, aggregate_id = excluded.aggregate_id,
                     sequence = excluded.sequence, status = excluded.status, expires_at = excluded.expires_at
                 WHERE expires_at <= ?9",
            )?,
        })
    }

    /// Writes a member, from the position after `head` on; answers the new head. After a failure parts of it may be written.
    pub fn write(
        &mut self,
        member: &Prepared,
        head: Position,
        recorded_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Position, Failure> {
        // First: what the member itself changes must not be taken for what it found.
        self.look(member)?;
        let mut last = head;
        for stream in &member.streams {
            last = self.write_events(stream, last, recorded_at)?;
        }
        for claim in &member.releases {
            self.release(claim)?;
        }
        for claim in &member.claims {
            self.claim.execute(params![claim.scope, claim.key, claim.owner])?;
        }
        for change in &member.limits {
            self.count(change)?;
        }
        for key in &member.keys {
            self.write_key(key)?;
        }
        for tenant_id in &member.erase_tenants {
            self.erase(*tenant_id)?;
        }
        if let Some(record) = &member.idempotency {
            self.remember(record, now)?;
        }
        Ok(last)
    }

    /// The rules that no key guards.
    fn look(&self, member: &Prepared) -> Result<(), Failure> {
        for stream in member.streams.iter().filter(|stream| stream.expected > 0) {
            hold(check::sequence(self.connection, &stream.stream)? == stream.expected)?;
        }
        for guard in &member.unchanged {
            hold(check::sequence(self.connection, &guard.stream)? == guard.sequence)?;
        }
        hold(check::destroyed_key(self.connection, member)?.is_none())
    }

    fn write_events(
        &mut self,
        stream: &PreparedStream,
        head: Position,
        recorded_at: DateTime<Utc>,
    ) -> Result<Position, Failure> {
        let mut position = head;
        for (sequence, event) in (stream.expected + 1..).zip(&stream.events) {
            position = position.next();
            self.event.execute(params![
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

    fn release(&self, claim: &Claim) -> Result<(), Failure> {
        let mut statement =
            self.connection.prepare_cached("DELETE FROM claims WHERE scope = ?1 AND key = ?2 AND owner = ?3")?;
        hold(statement.execute(params![claim.scope, claim.key, claim.owner])? == 1)
    }

    fn count(&self, change: &LimitChange) -> Result<(), Failure> {
        let (used, max) = check::limit_after(self.connection, change)?.ok_or(Failure::Rule(None))?;
        self.connection
            .prepare_cached(
                "INSERT INTO quotas (scope, key, used, max) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (scope, key) DO UPDATE SET used = excluded.used, max = excluded.max",
            )?
            .execute(params![change.scope, change.key, used, max])?;
        Ok(())
    }

    fn write_key(&mut self, key: &StoredKey) -> Result<(), Failure> {
        let tenant_id = key.tenant_id.as_bytes();
        match &key.id {
            KeyId::Tenant(_) => self.tenant_key.execute(params![tenant_id, key.wrapped])?,
            KeyId::Stream(stream) => {
                self.stream_key.execute(params![stream.aggregate_type, stream.aggregate_id, tenant_id, key.wrapped])?
            }
        };
        Ok(())
    }

    /// Takes the bytes out of the tenant's keys. A tenant that never had a key gets a destroyed one, so that none is made
    /// later.
    fn erase(&self, tenant_id: Uuid) -> Result<(), Failure> {
        let tenant_id = tenant_id.as_bytes();
        self.connection
            .prepare_cached(
                "INSERT INTO tenant_keys (tenant_id, wrapped) VALUES (?1, NULL)
                 ON CONFLICT (tenant_id) DO UPDATE SET wrapped = NULL",
            )?
            .execute([tenant_id])?;
        self.connection
            .prepare_cached("UPDATE stream_keys SET wrapped = NULL WHERE tenant_id = ?1")?
            .execute([tenant_id])?;
        Ok(())
    }

    /// A record that has expired makes room for another.
    fn remember(&mut self, record: &IdempotencyRecord, now: DateTime<Utc>) -> Result<(), Failure> {
        let written = self.idempotency.execute(params![
            record.principal,
            record.key,
            record.request_hash,
            record.stream.aggregate_type,
            record.stream.aggregate_id,
            record.sequence,
            record.status,
            rows::micros(record.expires_at),
            rows::micros(now),
        ])?;
        hold(written == 1)
    }
}

fn hold(rule: bool) -> Result<(), Failure> {
    if rule { Ok(()) } else { Err(Failure::Rule(None)) }
}
