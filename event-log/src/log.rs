//! The facade: what the rest of the service sees of the log.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tracing::Instrument;
use uuid::Uuid;

use crate::append::{Append, AppendError, Appended, IdempotencyRecord, Lane, Violation};
use crate::config::{EngineConfig, LogConfig};
use crate::engine::{Engine, Offence, Wanted};
use crate::feed::{Feed, Hurry};
use crate::postgres::{self, Postgres};
use crate::recent::Recent;
use crate::sealing::Sealer;
use crate::sqlite::Sqlite;
use crate::stats::WriterStats;
use crate::writer::{Refusal, Writer};
use crate::{Backup, BackupError, Clock, MasterKey, OpenError, Position, ReadError, RecordedEvent};

/// How often an append is sealed anew because another one made the same key first. Each time, a key is there to be found.
const SEALING_ATTEMPTS: u32 = 5;

/// The log of one cell. Clones share everything.
#[derive(Clone)]
pub struct EventLog {
    shared: Arc<Shared>,
}

/// Appends that wait in the writer's lanes, without those of the batch under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Commands of clients.
    pub foreground: usize,
    /// Those of the scheduler and other work that may wait.
    pub background: usize,
}

struct Shared {
    engine: Engine,
    sealer: Sealer,
    clock: Clock,
    id: Uuid,
    /// `None` where the log was opened read-only.
    writer: Option<Writer>,
    commits: watch::Sender<Position>,
    recent: Arc<Recent>,
    hurries: watch::Sender<usize>,
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("local_head", &*self.shared.commits.borrow()).finish_non_exhaustive()
    }
}

impl EventLog {
    /// Applies the migrations that the engine lacks. On `PostgreSQL` these are the whole cell's, views included.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the engine can't be reached or used, or a migration fails.
    pub async fn migrate(engine: &EngineConfig) -> Result<(), OpenError> {
        match engine {
            EngineConfig::Sqlite { directory } => Sqlite::migrate(directory).await,
            EngineConfig::Postgres { url, .. } => postgres::migrate(url.expose_secret()).await,
        }
    }

    /// Copies the log, as it is at one moment, into a new `log.db` in the directory `into`, while the service goes on
    /// writing it. What was acknowledged before the call is in the copy. With `master_key`, only if the log was sealed with
    /// it.
    ///
    /// # Errors
    ///
    /// [`BackupError`] when the engine is a server, which brings its own programs for that, when there is a `log.db`
    /// already, or when the log can't be read or the copy not be written; then nothing of it is left.
    pub async fn back_up(
        engine: &EngineConfig,
        into: &Path,
        master_key: Option<&MasterKey>,
    ) -> Result<Backup, BackupError> {
        match engine {
            EngineConfig::Sqlite { directory } => {
                Sqlite::back_up(directory, into, master_key.map(MasterKey::fingerprint)).await
            }
            EngineConfig::Postgres { .. } => Err(BackupError::Server),
        }
    }

    /// Opens the log for reading and appending.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the schema is missing or newer, the log was sealed with another master key, the `SQLite`
    /// directory is in use, or the engine can't be reached.
    pub async fn open(config: LogConfig) -> Result<Self, OpenError> {
        let engine = match &config.engine {
            EngineConfig::Sqlite { directory } => Engine::Sqlite(Sqlite::open(directory).await?),
            EngineConfig::Postgres { url, max_connections } => {
                Engine::Postgres(Postgres::open(url.expose_secret(), *max_connections).await?)
            }
        };
        Self::assemble(engine, &config, true).await
    }

    /// Opens the log for reading, also beside the service that writes it. Appending answers
    /// [`AppendError::Unavailable`].
    ///
    /// # Errors
    ///
    /// [`OpenError`] as for [`EventLog::open`], except that a directory in use is no hindrance.
    pub async fn open_read_only(config: LogConfig) -> Result<Self, OpenError> {
        let engine = match &config.engine {
            EngineConfig::Sqlite { directory } => Engine::Sqlite(Sqlite::open_read_only(directory).await?),
            EngineConfig::Postgres { url, max_connections } => {
                Engine::Postgres(Postgres::open_read_only(url.expose_secret(), *max_connections).await?)
            }
        };
        Self::assemble(engine, &config, false).await
    }

    async fn assemble(engine: Engine, config: &LogConfig, writable: bool) -> Result<Self, OpenError> {
        let ours = config.master_key.fingerprint();
        let checked = engine.master_key_fingerprint(&ours).await;
        let head = match checked {
            Ok(theirs) if theirs == ours => engine.head().await.map_err(OpenError::from),
            Ok(theirs) => Err(OpenError::OtherMasterKey { theirs, ours }),
            Err(error) => Err(error.into()),
        };
        let head = match head {
            Ok(head) => head,
            Err(error) => {
                engine.close().await;
                return Err(error);
            }
        };
        let id = match engine.log_id().await {
            Ok(id) => id,
            Err(error) => {
                engine.close().await;
                return Err(error.into());
            }
        };
        let commits = watch::Sender::new(head);
        let recent = Arc::new(Recent::default());
        let writer = writable.then(|| Writer::start(engine.clone(), config, commits.clone(), Arc::clone(&recent)));
        Ok(Self {
            shared: Arc::new(Shared {
                sealer: Sealer::new(&config.master_key),
                clock: config.clock,
                id,
                writer,
                commits,
                recent,
                hurries: watch::Sender::new(0),
                engine,
            }),
        })
    }

    /// Writes all of it or nothing, and answers where it stands. Once accepted it is seen through, even if the caller
    /// stops waiting.
    ///
    /// # Errors
    ///
    /// [`AppendError::Violated`] names the rule that it broke; the other variants say that it was not looked at, or can't
    /// be. Only [`AppendError::Unavailable`] with `unknown` leaves open whether it was written.
    pub async fn append(&self, append: Append, lane: Lane) -> Result<Appended, AppendError> {
        let shared = Arc::clone(&self.shared);
        let span = tracing::debug_span!("append", command.id = %append.command_id, ?lane);
        // A task of its own: resealing goes on too when the caller stops waiting.
        let task = tokio::spawn(async move { shared.append(&append, lane).await }.instrument(span));
        task.await
            .unwrap_or_else(|stopped| Err(AppendError::Unavailable { reason: stopped.to_string(), unknown: true }))
    }

    /// All events of one stream in sequence order, opened. Empty if there is no such stream.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read, or an event is not what was written.
    #[tracing::instrument(level = "debug", skip_all, fields(stream.type = A::TYPE, stream.id = aggregate_id))]
    pub async fn load<A: Aggregate>(&self, aggregate_id: &str) -> Result<Vec<SerializedEvent>, ReadError> {
        if unstorable(aggregate_id) {
            return Ok(Vec::new());
        }
        let events = self.shared.engine.load::<A>(aggregate_id).await?;
        self.shared.sealer.open_serialized(&self.shared.engine, events).await
    }

    /// The same of the events after a sequence: what followed a state that is still at hand.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read, or an event is not what was written.
    #[tracing::instrument(level = "debug", skip_all, fields(stream.type = A::TYPE, stream.id = aggregate_id))]
    pub async fn load_after<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Vec<SerializedEvent>, ReadError> {
        if unstorable(aggregate_id) {
            return Ok(Vec::new());
        }
        let events = self.shared.engine.load_after::<A>(aggregate_id, sequence).await?;
        self.shared.sealer.open_serialized(&self.shared.engine, events).await
    }

    /// Up to `limit` events after a position, sealed, in position order.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read, or a position is missing.
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, ReadError> {
        self.page(Wanted::Everything, after, limit).await
    }

    /// The same with empty metadata, almost half of what there is to read: for whoever folds all of the log, since what
    /// became of something does not depend on who asked for it.
    ///
    /// # Errors
    ///
    /// As [`EventLog::read`].
    pub async fn read_payloads(&self, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, ReadError> {
        self.page(Wanted::Payloads, after, limit).await
    }

    /// A page without a gap.
    async fn page(&self, what: Wanted, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, ReadError> {
        let events = self.shared.engine.read(what, after, limit).await?;
        let mut expected = after;
        for event in &events {
            expected = expected.next();
            if event.position != expected {
                let reason = format!("position {expected} is missing, {} follows", event.position);
                return Err(ReadError::CorruptLog { reason });
            }
        }
        Ok(events)
    }

    /// Up to `limit` events that follow a position without a gap, as far as this process committed them a moment ago.
    /// None says nothing about the log: another process may have written what follows.
    #[must_use]
    pub fn recent(&self, after: Position, limit: usize) -> Vec<Arc<RecordedEvent>> {
        self.shared.recent.after(after, limit)
    }

    /// Up to `limit` events of one tenant after a position, sealed, in position order.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read.
    pub async fn read_tenant(
        &self,
        tenant_id: Uuid,
        after: Position,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        Ok(self.shared.engine.read(Wanted::Tenant(tenant_id), after, limit).await?)
    }

    /// Opens the personal values of a page of events; what a destroyed key sealed becomes erased.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the keys can't be read, or a sealed value is not what was written.
    pub async fn open_events(&self, events: Vec<RecordedEvent>) -> Result<Vec<RecordedEvent>, ReadError> {
        self.shared.sealer.open_recorded(&self.shared.engine, events).await
    }

    /// The last position, whoever wrote it.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read.
    pub async fn head(&self) -> Result<Position, ReadError> {
        Ok(self.shared.engine.head().await?)
    }

    /// Follows the log from after a position.
    #[must_use]
    pub fn feed(&self, after: Position) -> Feed {
        Feed::new(self.clone(), after, self.shared.commits.subscribe(), self.shared.hurries.subscribe())
    }

    /// Makes feeds look for other processes' commits every 5 ms for as long as the guard lives.
    #[must_use]
    pub fn hurry(&self) -> Hurry {
        Hurry::new(self.shared.hurries.clone())
    }

    /// The last position that this process has committed (at first: the head as it was when the log was opened).
    #[must_use]
    pub fn local_head(&self) -> watch::Receiver<Position> {
        self.shared.commits.subscribe()
    }

    /// The record of an answered request, unless it has expired.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read.
    pub async fn idempotency(&self, principal: &str, key: &str) -> Result<Option<IdempotencyRecord>, ReadError> {
        if unstorable(principal) || unstorable(key) {
            return Ok(None);
        }
        let record = self.shared.engine.idempotency(principal, key).await?;
        Ok(record.filter(|record| record.expires_at > self.shared.clock.now()))
    }

    /// Changes the status that a request's first answer is remembered with, before that answer is given: what the append
    /// could not know, for example that the views are late. False if there is no such record.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the record can't be changed; it stays as it is, or was changed and the answer lost.
    pub async fn remember_status(&self, principal: &str, key: &str, status: u16) -> Result<bool, ReadError> {
        if unstorable(principal) || unstorable(key) {
            return Ok(false);
        }
        Ok(self.shared.engine.remember_status(principal, key, status).await?)
    }

    /// Who holds a claim.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read.
    pub async fn claim_owner(&self, scope: &str, key: &str) -> Result<Option<String>, ReadError> {
        if unstorable(scope) || unstorable(key) {
            return Ok(None);
        }
        Ok(self.shared.engine.claim_owner(scope, key).await?)
    }

    /// A personal value as it may stand in a claim's key: an HMAC under a key derived from the master key, so that equal
    /// values in one scope stay equal and nothing else can be told.
    #[must_use]
    pub fn blind(&self, scope: &str, value: &str) -> String {
        self.shared.sealer.blind(scope, value)
    }

    /// Drops a tenant's cached keys, because another instance destroyed them.
    pub fn forget_keys(&self, tenant_id: Uuid) {
        self.shared.sealer.forget(tenant_id);
    }

    /// The clock that stamps `recorded_at`.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock
    }

    /// What the writer did so far; `None` where the log was opened read-only.
    #[must_use]
    pub fn writer_stats(&self) -> Option<&WriterStats> {
        self.shared.writer.as_ref().map(Writer::stats)
    }

    /// What tells this log from every other, also from one that begins anew in the same place. A restored copy has its
    /// original's.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.shared.id
    }

    /// How many appends wait for the writer right now.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let waiting = |lane| self.shared.writer.as_ref().map_or(0, |writer| writer.waiting(lane));
        Waiting { foreground: waiting(Lane::Foreground), background: waiting(Lane::Background) }
    }

    /// How many transactions ago the oldest snapshot was taken for which this database keeps dead rows, whoever holds it;
    /// `None` where the engine has no such thing. Nothing else slows a log down like a snapshot that stays open.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the engine can't be asked.
    pub async fn oldest_snapshot_age(&self) -> Result<Option<u64>, ReadError> {
        Ok(self.shared.engine.oldest_snapshot_age().await?)
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it does not.
    pub async fn ping(&self) -> Result<(), ReadError> {
        self.head().await.map(drop)
    }

    /// Refuses further appends, commits those that were accepted, then closes the engine.
    pub async fn shutdown(&self) {
        if let Some(writer) = &self.shared.writer {
            writer.stop().await;
        }
        self.shared.engine.close().await;
    }
}

impl Shared {
    async fn append(&self, append: &Append, lane: Lane) -> Result<Appended, AppendError> {
        let Some(writer) = &self.writer else {
            return Err(AppendError::Unavailable { reason: "it was opened read-only".to_owned(), unknown: false });
        };
        for _ in 0..SEALING_ATTEMPTS {
            let forgets = self.sealer.forgets();
            let (prepared, made) = self.sealer.prepare(&self.engine, append).await?;
            match writer.append(prepared, lane).await {
                Ok(appended) => {
                    self.sealer.committed(made, forgets);
                    for tenant_id in &append.erase_tenants {
                        self.sealer.forget(*tenant_id);
                    }
                    return Ok(appended);
                }
                Err(Refusal::Offence(Offence::Rule(violation))) => {
                    // Another instance destroyed it: what is cached here is out of date.
                    if let Violation::KeyDestroyed { tenant_id } = &violation {
                        self.sealer.forget(*tenant_id);
                    }
                    return Err(violation.into());
                }
                Err(Refusal::Offence(Offence::KeyExists)) => {}
                Err(Refusal::Error(error)) => return Err(error),
            }
        }
        let reason = format!("another append made the same key first, {SEALING_ATTEMPTS} times");
        Err(AppendError::Unavailable { reason, unknown: false })
    }
}

/// U+0000 is in no name that the log holds, and `PostgreSQL` refuses to be asked for it.
fn unstorable(name: &str) -> bool {
    name.contains('\0')
}
