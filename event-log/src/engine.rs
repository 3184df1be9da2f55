//! The port behind which SQLite and PostgreSQL stand: what the log needs of a database, and nothing more.

use std::borrow::Cow;
use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use uuid::Uuid;

use crate::append::{Appended, Claim, IdempotencyRecord, LimitChange, StreamVersion, Violation};
use crate::clock::Clock;
use crate::event::{Json, RecordedEvent, StreamId};
use crate::position::Position;

/// An event whose personal values are sealed, as it will stand in its row.
#[derive(Clone, Debug)]
pub(crate) struct PreparedEvent {
    pub event_type: Cow<'static, str>,
    pub event_version: Cow<'static, str>,
    pub payload: Json,
    /// A flat object of strings, with `command_id` in it.
    pub metadata: Json,
}

/// The events of one stream of a prepared append.
#[derive(Clone, Debug)]
pub(crate) struct PreparedStream {
    pub stream: StreamId,
    pub tenant_id: Uuid,
    pub expected: u64,
    pub events: Vec<PreparedEvent>,
}

/// Names a key: a tenant's, or a stream's data key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum KeyId {
    Tenant(Uuid),
    Stream(StreamId),
}

/// A wrapped key as it is stored. `wrapped` is `None` once the key was destroyed.
#[derive(Clone, Debug)]
pub(crate) struct StoredKey {
    pub id: KeyId,
    /// The tenant under which the key is destroyed.
    pub tenant_id: Uuid,
    pub wrapped: Option<Vec<u8>>,
}

/// A sealed, validated append: one member of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub command_id: Uuid,
    pub streams: Vec<PreparedStream>,
    pub unchanged: Vec<StreamVersion>,
    pub claims: Vec<Claim>,
    pub releases: Vec<Claim>,
    pub limits: Vec<LimitChange>,
    pub keys: Vec<StoredKey>,
    /// Tenants for whom something is sealed: their keys must still be there.
    pub sealed_tenants: Vec<Uuid>,
    pub erase_tenants: Vec<Uuid>,
    pub idempotency: Option<IdempotencyRecord>,
}

/// Why one member of a batch was not written while the others were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A rule of the append; the caller learns it.
    Rule(Violation),
    /// Another append made the same key first: seal again with the stored one and retry.
    KeyExists,
}

/// One answer per member, in the batch's order.
pub(crate) type BatchAnswer = Vec<Result<Appended, Offence>>;

/// A database that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// Certainly nothing was written or read: not connected, refused, rolled back.
    #[error("the database can't be used")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database rolled the statement back and would do so again: something in it is wrong.
    #[error("the database refused the statement")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The statement was sent and its answer lost: it may be committed.
    #[error("the database's answer was lost")]
    AnswerLost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This process's clock is too far off the database's.
    #[error("the clock is {skew_ms} ms off the database's")]
    ClockSkew { skew_ms: i64 },
    /// What was read can't be what was written.
    #[error("corrupt log: {0}")]
    Corrupt(String),
}

/// What of the log a page holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Every event, whole.
    Everything,
    /// One tenant's events.
    Tenant(Uuid),
    /// Every event, with empty metadata.
    Payloads,
}

/// The two engines. Matched, never boxed: there will not be a third without a look at every place.
#[derive(Clone)]
pub(crate) enum Engine {
    Postgres(crate::postgres::Postgres),
    Sqlite(crate::sqlite::Sqlite),
}

/// Hands a call to whichever engine it is.
macro_rules! each {
    ($engine:expr, $inner:ident => $call:expr) => {
        match $engine {
            Engine::Postgres($inner) => $call,
            Engine::Sqlite($inner) => $call,
        }
    };
}

impl Engine {
    /// Writes the batch in one transaction; offenders are left out and named. The clock is read when the engine is ready to
    /// take the batch; `recorded_at` of the batch becomes the later of that and the head's last.
    pub async fn append_batch(&self, batch: &Arc<Vec<Prepared>>, clock: Clock) -> Result<BatchAnswer, EngineError> {
        each!(self, engine => engine.append_batch(batch, clock).await)
    }

    /// After a lost answer: which members are in the log, found by stream, sequence and their own command id, under the
    /// head's lock, so that no earlier attempt can still be on its way.
    pub async fn find_committed(&self, batch: &Arc<Vec<Prepared>>) -> Result<Vec<Option<Appended>>, EngineError> {
        each!(self, engine => engine.find_committed(batch).await)
    }

    /// One stream in sequence order, sealed.
    pub async fn load<A: Aggregate>(&self, aggregate_id: &str) -> Result<Vec<SerializedEvent>, EngineError> {
        each!(self, engine => engine.load::<A>(aggregate_id).await)
    }

    /// Those after a sequence.
    pub async fn load_after<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Vec<SerializedEvent>, EngineError> {
        each!(self, engine => engine.load_after::<A>(aggregate_id, sequence).await)
    }

    /// Up to `limit` events after `after`, sealed, in position order.
    pub async fn read(&self, what: Wanted, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, EngineError> {
        each!(self, engine => engine.read(what, after, limit).await)
    }

    /// The last position.
    pub async fn head(&self) -> Result<Position, EngineError> {
        each!(self, engine => engine.head().await)
    }

    /// The record of an answered request, expired or not.
    pub async fn idempotency(&self, principal: &str, key: &str) -> Result<Option<IdempotencyRecord>, EngineError> {
        each!(self, engine => engine.idempotency(principal, key).await)
    }

    /// Changes the status of a record; false if there is none.
    pub async fn remember_status(&self, principal: &str, key: &str, status: u16) -> Result<bool, EngineError> {
        each!(self, engine => engine.remember_status(principal, key, status).await)
    }

    /// Who holds a claim.
    pub async fn claim_owner(&self, scope: &str, key: &str) -> Result<Option<String>, EngineError> {
        each!(self, engine => engine.claim_owner(scope, key).await)
    }

    /// The stored keys among those named; absent ones are left out, destroyed ones have no bytes.
    pub async fn keys(&self, ids: &[KeyId]) -> Result<Vec<StoredKey>, EngineError> {
        each!(self, engine => engine.keys(ids).await)
    }

    /// The fingerprint of the master key that the log is sealed with; stores `ours` if there is none yet.
    pub async fn master_key_fingerprint(&self, ours: &str) -> Result<String, EngineError> {
        each!(self, engine => engine.master_key_fingerprint(ours).await)
    }

    /// What tells this log from every other.
    pub async fn log_id(&self) -> Result<Uuid, EngineError> {
        each!(self, engine => engine.log_id().await)
    }

    /// Age in transactions of the oldest snapshot that keeps dead rows from being removed.
    pub async fn oldest_snapshot_age(&self) -> Result<Option<u64>, EngineError> {
        match self {
            Self::Postgres(postgres) => postgres.oldest_snapshot_age().await.map(Some),
            // Its readers' transactions end with each call, and there are none but ours.
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// Stops threads and closes connections.
    pub async fn close(&self) {
        each!(self, engine => engine.close().await);
    }
}
