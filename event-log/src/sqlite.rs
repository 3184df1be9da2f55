//! The embedded engine: SQLite in WAL mode, in one directory, without a server.
//!
//! One thread owns the only connection that ever writes or checkpoints `log.db`; a few threads read through connections
//! that are opened read-only. SQLite 3.46 can corrupt a WAL that two connections write or checkpoint (fixed in 3.51.3),
//! so this is a rule of safety, not of taste. Every call is one short statement or one transaction: nothing stays open
//! between calls, since an open read transaction keeps the WAL from being reused.

mod append;
mod backup;
mod check;
mod connection;
mod reader;
mod rows;
mod worker;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use uuid::Uuid;

use crate::append::{Appended, IdempotencyRecord};
use crate::engine::{BatchAnswer, EngineError, KeyId, Prepared, StoredKey, Wanted};
use crate::event::RecordedEvent;
use crate::position::Position;
use crate::{Backup, BackupError, Clock, OpenError};
use worker::{Lost, Pool};

/// Threads that read. A long page of the feed takes one of them for some milliseconds; loads go on beside it.
const READERS: usize = 3;

/// An erased key must not live on in the WAL. How long its truncation waits for readers before it is left to the next
/// append.
const TRUNCATE_PATIENCE: Duration = Duration::from_millis(20);

/// A log in one directory. Clones share the threads.
#[derive(Clone)]
pub(crate) struct Sqlite {
    threads: Arc<Threads>,
}

struct Threads {
    /// `None` where the log was opened read-only, beside the service that writes it.
    writer: Option<Pool<connection::Writer>>,
    readers: Pool<rusqlite::Connection>,
}

impl Sqlite {
    /// Creates the directory and `log.db` if need be and applies the migrations that it lacks.
    pub async fn migrate(directory: &Path) -> Result<(), OpenError> {
        let directory = directory.to_path_buf();
        blocking(move || connection::migrate(&directory)).await
    }

    /// Copies the log of `directory` into a new `log.db` in `into`, beside the service that writes it or alone.
    pub async fn back_up(directory: &Path, into: &Path, key: Option<String>) -> Result<Backup, BackupError> {
        let (directory, into) = (directory.to_path_buf(), into.to_path_buf());
        let copied = tokio::task::spawn_blocking(move || backup::copy(&directory, &into, key.as_deref())).await;
        copied.unwrap_or_else(|stopped| Err(OpenError::Unavailable(stopped.into()).into()))
    }

    /// Opens the log for this process alone.
    pub async fn open(directory: &Path) -> Result<Self, OpenError> {
        let directory = directory.to_path_buf();
        blocking(move || {
            let writer = connection::open_writer(&directory)?;
            let readers = open_readers(&directory)?;
            Ok(Self { threads: Arc::new(Threads { writer: Some(Pool::start("log-writer", vec![writer])?), readers }) })
        })
        .await
    }

    /// Opens the log beside the service that writes it, or alone; either way nothing can be appended.
    pub async fn open_read_only(directory: &Path) -> Result<Self, OpenError> {
        let directory = directory.to_path_buf();
        blocking(move || Ok(Self { threads: Arc::new(Threads { writer: None, readers: open_readers(&directory)? }) }))
            .await
    }

    pub async fn append_batch(&self, batch: &Arc<Vec<Prepared>>, clock: Clock) -> Result<BatchAnswer, EngineError> {
        let batch = Arc::clone(batch);
        let erases = batch.iter().any(|member| !member.erase_tenants.is_empty());
        let answer = self
            .write(move |writer| {
                writer.truncate_wal_if_due(Duration::ZERO);
                let answer = append::append_batch(&mut writer.connection, &batch, clock.now());
                writer.truncate_wal |= erases;
                answer
            })
            .await;
        if erases && let Some(writer) = &self.threads.writer {
            // Behind the answer, which need not wait for it.
            writer.send(|writer| writer.truncate_wal_if_due(TRUNCATE_PATIENCE));
        }
        answer
    }

    pub async fn find_committed(&self, batch: &Arc<Vec<Prepared>>) -> Result<Vec<Option<Appended>>, EngineError> {
        if let Some(writer) = &self.threads.writer {
            let batch = Arc::clone(batch);
            if let Ok(found) = writer.call(move |writer| append::settle(&mut writer.connection, &batch)).await {
                return found;
            }
        }
        // A dead writer thread can have nothing on its way any more, so then a reader knows.
        let batch = Arc::clone(batch);
        self.query(move |connection| append::find_committed(connection, &batch)).await
    }

    pub async fn load<A: Aggregate>(&self, aggregate_id: &str) -> Result<Vec<SerializedEvent>, EngineError> {
        self.load_after::<A>(aggregate_id, 0).await
    }

    pub async fn load_after<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Vec<SerializedEvent>, EngineError> {
        let aggregate_id = aggregate_id.to_owned();
        self.query(move |connection| reader::stream(connection, A::TYPE, &aggregate_id, sequence)).await
    }

    pub async fn read(&self, what: Wanted, after: Position, limit: usize) -> Result<Vec<RecordedEvent>, EngineError> {
        self.query(move |connection| reader::page(connection, what, after, limit)).await
    }

    pub async fn head(&self) -> Result<Position, EngineError> {
        self.query(|connection| reader::head(connection)).await
    }

    pub async fn idempotency(&self, principal: &str, key: &str) -> Result<Option<IdempotencyRecord>, EngineError> {
        let (principal, key) = (principal.to_owned(), key.to_owned());
        self.query(move |connection| reader::idempotency(connection, &principal, &key)).await
    }

    pub async fn remember_status(&self, principal: &str, key: &str, status: u16) -> Result<bool, EngineError> {
        let (principal, key) = (principal.to_owned(), key.to_owned());
        self.write(move |writer| append::remember_status(&writer.connection, &principal, &key, status)).await
    }

    pub async fn claim_owner(&self, scope: &str, key: &str) -> Result<Option<String>, EngineError> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.query(move |connection| reader::claim_owner(connection, &scope, &key)).await
    }

    pub async fn keys(&self, ids: &[KeyId]) -> Result<Vec<StoredKey>, EngineError> {
        let ids = ids.to_vec();
        self.query(move |connection| reader::keys(connection, &ids)).await
    }

    pub async fn log_id(&self) -> Result<Uuid, EngineError> {
        self.query(|connection| reader::log_id(connection)).await
    }

    pub async fn master_key_fingerprint(&self, ours: &str) -> Result<String, EngineError> {
        let stored = self.query(|connection| reader::fingerprint(connection)).await?;
        let ours = ours.to_owned();
        match (stored, &self.threads.writer) {
            (Some(stored), _) => Ok(stored),
            (None, None) => Ok(ours),
            (None, Some(_)) => self.write(move |writer| append::store_fingerprint(&writer.connection, &ours)).await,
        }
    }

    /// Finishes what was handed over, closes every connection and releases the directory.
    pub async fn close(&self) {
        self.threads.readers.stop().await;
        if let Some(writer) = &self.threads.writer {
            // Last, so that its connection moves the WAL into the file and removes it.
            writer.stop().await;
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut connection::Writer) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let Some(writer) = &self.threads.writer else {
            return Err(EngineError::Unavailable("the log was opened read-only".into()));
        };
        match writer.call(work).await {
            Ok(result) => result,
            Err(lost @ Lost::BeforeStart) => Err(EngineError::Unavailable(lost.into())),
            Err(lost @ Lost::Midway) => Err(EngineError::AnswerLost(lost.into())),
        }
    }

    async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut rusqlite::Connection) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.threads.readers.call(work).await.unwrap_or_else(|lost| Err(EngineError::Unavailable(lost.into())))
    }
}

fn open_readers(directory: &Path) -> Result<Pool<rusqlite::Connection>, OpenError> {
    let connections = (0..READERS).map(|_| connection::open_reader(directory)).collect::<Result<_, _>>()?;
    Pool::start("log-reader", connections)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| Err(OpenError::Unavailable(stopped.into())))
}
