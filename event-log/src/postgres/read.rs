//! Reading: single short statements, each on its own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs_es::Aggregate;
use cqrs_es::persist::{PersistedEventRepository, PersistenceError, SerializedEvent};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use tokio::time::error::Elapsed;
use uuid::Uuid;

use super::{Postgres, error};
use crate::append::IdempotencyRecord;
use crate::engine::{EngineError, KeyId, StoredKey, Wanted};
use crate::event::{Json, RecordedEvent, StreamId};
use crate::position::Position;

/// How long a read may take on a network that swallows packets. The server's own `statement_timeout` is shorter.
const READ_TIMEOUT: Duration = Duration::from_secs(35);

/// Awaits a read; again when its connection turns out to be gone, since all of a pool's may have gone with the server.
macro_rules! read {
    ($postgres:expr, $query:expr) => {{
        let mut result = in_time($query).await;
        for _ in 0..$postgres.pool.options().get_max_connections() {
            if !result.as_ref().is_err_and(error::is_stale_connection) {
                break;
            }
            result = in_time($query).await;
        }
        result.map_err(error::reading)
    }};
}

async fn in_time<T>(query: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(READ_TIMEOUT, query).await.unwrap_or_else(late)
}

impl Postgres {
    pub async fn load<A: Aggregate>(&self, aggregate_id: &str) -> Result<Vec<SerializedEvent>, EngineError> {
        let repository = PostgresEventRepository::new(self.pool.clone());
        let read = async || {
            let mut result = repository.get_events::<A>(aggregate_id).await;
            for _ in 0..self.pool.options().get_max_connections() {
                if !result.as_ref().is_err_and(is_stale) {
                    break;
                }
                result = repository.get_events::<A>(aggregate_id).await;
            }
            result
        };
        let late = |late: Elapsed| Err(PersistenceError::ConnectionError(late.into()));
        let events = tokio::time::timeout(READ_TIMEOUT, read()).await.unwrap_or_else(late);
        events.map_err(|failure| match failure {
            PersistenceError::DeserializationError(reason) => EngineError::Corrupt(reason.to_string()),
            PersistenceError::OptimisticLockError => EngineError::Unavailable(failure.into()),
            PersistenceError::ConnectionError(source) | PersistenceError::UnknownError(source) => {
                EngineError::Unavailable(source)
            }
        })
    }

    /// Our own statement: that of postgres-es has the sequence written into it, so that each one would be planned anew.
    pub async fn load_after<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Vec<SerializedEvent>, EngineError> {
        const TAIL: &str = "
            select aggregate_id, sequence, aggregate_type, event_type, event_version, payload, metadata
            from events where aggregate_type = $1 and aggregate_id = $2 and sequence > $3 order by sequence";
        let after = i64::try_from(sequence).unwrap_or(i64::MAX);
        let tail: Vec<Tail> =
            read!(self, sqlx::query_as(TAIL).bind(A::TYPE).bind(aggregate_id).bind(after).fetch_all(&self.pool))?;
        Ok(tail.into_iter().map(|Tail(event)| event).collect())
    }

    pub async fn read(&self, what: Wanted, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, EngineError> {
        const PAGE: &str = "
            select position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
                metadata, recorded_at
            from events where position > $1 order by position limit $2";
        const PAGE_OF_TENANT: &str = "
            select position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
                metadata, recorded_at
            from events where position > $1 and tenant_id = $3 order by position limit $2";
        const PAGE_OF_PAYLOADS: &str = "
            select position, aggregate_type, aggregate_id, sequence, tenant_id, event_type, event_version, payload,
                '{}'::json as metadata, recorded_at
            from events where position > $1 order by position limit $2";
        let after = i64::try_from(after.get()).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let events: Vec<RecordedEvent> = match what {
            Wanted::Everything => read!(self, sqlx::query_as(PAGE).bind(after).bind(limit).fetch_all(&self.pool)),
            Wanted::Payloads => {
                read!(self, sqlx::query_as(PAGE_OF_PAYLOADS).bind(after).bind(limit).fetch_all(&self.pool))
            }
            Wanted::Tenant(tenant) => {
                read!(self, sqlx::query_as(PAGE_OF_TENANT).bind(after).bind(limit).bind(tenant).fetch_all(&self.pool))
            }
        }?;
        Ok(events)
    }

    pub async fn head(&self) -> Result<Position, EngineError> {
        let position: i64 = read!(self, sqlx::query_scalar("select position from log_head").fetch_one(&self.pool))?;
        Ok(Position::new(position.unsigned_abs()))
    }

    pub async fn log_id(&self) -> Result<Uuid, EngineError> {
        read!(self, sqlx::query_scalar("select log_id from log_meta").fetch_one(&self.pool))
    }

    /// Sessions of other databases don't count: their snapshots keep no row of this one. A standby's does.
    pub async fn oldest_snapshot_age(&self) -> Result<u64, EngineError> {
        const AGE: &str = "
            select coalesce(greatest(
                (select max(greatest(age(backend_xmin), age(backend_xid))) from pg_stat_activity
                    where pid <> pg_backend_pid() and (datname is null or datname = current_database())),
                (select max(age(xmin)) from pg_replication_slots),
                (select max(age(transaction)) from pg_prepared_xacts where database = current_database())
            ), 0)::bigint";
        let age: i64 = read!(self, sqlx::query_scalar(AGE).fetch_one(&self.pool))?;
        Ok(age.max(0).unsigned_abs())
    }

    pub async fn idempotency(&self, principal: &str, key: &str) -> Result<Option<IdempotencyRecord>, EngineError> {
        const RECORD: &str = "
            select principal, key, request_hash, aggregate_type, aggregate_id, sequence, status, expires_at
            from idempotency where principal = $1 and key = $2";
        read!(self, sqlx::query_as(RECORD).bind(principal).bind(key).fetch_optional(&self.pool))
    }

    /// Not a read, but a single short statement like one; doing it twice changes nothing.
    pub async fn remember_status(&self, principal: &str, key: &str, status: u16) -> Result<bool, EngineError> {
        const REMEMBER: &str = "update idempotency set status = $3 where principal = $1 and key = $2 returning true";
        let status = status.cast_signed();
        let changed: Option<bool> = read!(
            self,
            sqlx::query_scalar(REMEMBER).bind(principal).bind(key).bind(status).fetch_optional(&self.pool)
        )?;
        Ok(changed.unwrap_or(false))
    }

    pub async fn claim_owner(&self, scope: &str, key: &str) -> Result<Option<String>, EngineError> {
        const OWNER: &str = "select owner from claims where scope = $1 and key = $2";
        read!(self, sqlx::query_scalar(OWNER).bind(scope).bind(key).fetch_optional(&self.pool))
    }

    pub async fn keys(&self, ids: &[KeyId]) -> Result<Vec<StoredKey>, EngineError> {
        const KEYS: &str = "
            select null as aggregate_type, null as aggregate_id, tenant_id, wrapped
            from tenant_keys where tenant_id = any ($1)
            union all
            select k.aggregate_type, k.aggregate_id, k.tenant_id, k.wrapped
            from unnest($2::text[], $3::text[]) s(type, id)
            join stream_keys k on k.aggregate_type = s.type and k.aggregate_id = s.id";
        let (mut tenants, mut types, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids {
            match id {
                KeyId::Tenant(tenant) => tenants.push(*tenant),
                KeyId::Stream(stream) => {
                    types.push(&*stream.aggregate_type);
                    names.push(stream.aggregate_id.as_str());
                }
            }
        }
        read!(self, sqlx::query_as(KEYS).bind(&tenants).bind(&types).bind(&names).fetch_all(&self.pool))
    }

    pub async fn master_key_fingerprint(&self, ours: &str) -> Result<String, EngineError> {
        const STORED: &str = "select master_key_fingerprint from log_meta";
        const STORE: &str = "
            update log_meta set master_key_fingerprint = coalesce(master_key_fingerprint, $1)
            returning master_key_fingerprint";
        let stored: Option<String> = read!(self, sqlx::query_scalar(STORED).fetch_one(&self.pool))?;
        match stored {
            Some(stored) => Ok(stored),
            None if self.read_only => Ok(ours.to_owned()),
            None => read!(self, sqlx::query_scalar(STORE).bind(ours).fetch_one(&self.pool)),
        }
    }
}

/// postgres-es passes the driver's error on in a box.
fn is_stale(failure: &PersistenceError) -> bool {
    let (PersistenceError::ConnectionError(source) | PersistenceError::UnknownError(source)) = failure else {
        return false;
    };
    source.downcast_ref().is_some_and(error::is_stale_connection)
}

/// An event of one stream, as cqrs-es has them.
struct Tail(SerializedEvent);

impl FromRow<'_, PgRow> for Tail {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let sequence = unsigned(row, "sequence")?;
        Ok(Self(SerializedEvent {
            aggregate_id: row.try_get("aggregate_id")?,
            sequence: usize::try_from(sequence).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            aggregate_type: row.try_get("aggregate_type")?,
            event_type: row.try_get("event_type")?,
            event_version: row.try_get("event_version")?,
            payload: row.try_get("payload")?,
            metadata: row.try_get("metadata")?,
        }))
    }
}

impl FromRow<'_, PgRow> for RecordedEvent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            position: Position::new(unsigned(row, "position")?),
            stream: stream(row)?,
            sequence: unsigned(row, "sequence")?,
            tenant_id: row.try_get("tenant_id")?,
            event_type: row.try_get::<String, _>("event_type")?.into(),
            event_version: row.try_get::<String, _>("event_version")?.into(),
            payload: json(row, "payload")?,
            metadata: json(row, "metadata")?,
            recorded_at: row.try_get::<DateTime<Utc>, _>("recorded_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for IdempotencyRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let request_hash: &[u8] = row.try_get("request_hash")?;
        let status: i16 = row.try_get("status")?;
        Ok(Self {
            principal: row.try_get("principal")?,
            key: row.try_get("key")?,
            request_hash: request_hash.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            stream: stream(row)?,
            sequence: unsigned(row, "sequence")?,
            status: status.unsigned_abs(),
            expires_at: row.try_get("expires_at")?,
        })
    }
}

impl FromRow<'_, PgRow> for StoredKey {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let tenant_id = row.try_get("tenant_id")?;
        let aggregate_type: Option<String> = row.try_get("aggregate_type")?;
        let id = match aggregate_type {
            Some(aggregate_type) => {
                KeyId::Stream(StreamId::new(aggregate_type, row.try_get::<String, _>("aggregate_id")?))
            }
            None => KeyId::Tenant(tenant_id),
        };
        Ok(Self { id, tenant_id, wrapped: row.try_get("wrapped")? })
    }
}

fn stream(row: &PgRow) -> Result<StreamId, sqlx::Error> {
    Ok(StreamId::new(row.try_get::<String, _>("aggregate_type")?, row.try_get::<String, _>("aggregate_id")?))
}

/// A column of type `json`: the server has looked at the text, and sends it as it is.
fn json(row: &PgRow, column: &str) -> Result<Json, sqlx::Error> {
    Ok(Json::checked(row.try_get_raw(column)?.as_str().map_err(sqlx::Error::Decode)?))
}

fn unsigned(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number)
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) })
}
