//! The port behind which the views' databases stand: cells, tables, one transaction per batch, one query call.
//!
//! View code names tables and hands over rows. How a batch of rows becomes one statement per table is each engine's
//! business: see [`postgres`] and [`sqlite`], the only files of this crate that hold an engine's own SQL.

use std::sync::Arc;
use std::time::Duration;

use tenure_event_log::EngineConfig;
use uuid::Uuid;

pub(crate) mod postgres;
pub(crate) mod sqlite;
mod table;

pub(crate) use table::{Cell, Change, Column, Move, Table, Write, integer, nullable_integer, nullable_text, text};

use crate::generation::Checkpoint;

/// What went wrong in the views' database.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Not connected, refused, timed out: the same call may succeed later.
    #[error("the views' database can't be used")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The database understood and refused: the same rows will be refused again.
    #[error("the views' database refused the statement")]
    Refused(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The table is gone: its generation was replaced and dropped.
    #[error("the view's table is gone")]
    UndefinedTable,
}

impl StoreError {
    pub fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(error))
    }

    pub fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Refused(Arc::new(error))
    }
}

/// One result row, in the order of the columns selected.
pub(crate) type Cells = Vec<Cell>;

/// Hands a call to whichever engine it is.
macro_rules! each {
    ($kind:ident, $engine:expr, $inner:ident => $call:expr) => {
        match $engine {
            $kind::Postgres($inner) => $call,
            $kind::Sqlite($inner) => $call,
        }
    };
}

/// A views database. Cloning shares it.
#[derive(Clone)]
pub(crate) enum Store {
    Postgres(postgres::Postgres),
    Sqlite(sqlite::Sqlite),
}

impl Store {
    /// Connects, and on SQLite makes or migrates `views.db` (whose loss costs only a rebuild).
    pub async fn open(engine: &EngineConfig, readers: u32) -> Result<Self, StoreError> {
        Ok(match engine {
            EngineConfig::Postgres { url, .. } => Self::Postgres(postgres::Postgres::open(url, readers).await?),
            EngineConfig::Sqlite { directory } => Self::Sqlite(sqlite::Sqlite::open(directory.clone(), readers).await?),
        })
    }

    /// Connects for reading only; there must be views.
    pub async fn open_read_only(engine: &EngineConfig, readers: u32) -> Result<Self, StoreError> {
        Ok(match engine {
            // Its readers can't write either; only a session could.
            EngineConfig::Postgres { url, .. } => Self::Postgres(postgres::Postgres::open(url, readers).await?),
            EngineConfig::Sqlite { directory } => {
                Self::Sqlite(sqlite::Sqlite::open_read_only(directory.clone(), readers).await?)
            }
        })
    }

    /// True where no other process can have these views open.
    pub fn is_exclusive(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Runs one statement of the shared SQL subset: parameters `$1`, `$2` ..., tables in braces. Answers its rows.
    pub async fn query(&self, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, StoreError> {
        each!(Store, self, engine => engine.query(sql, params).await)
    }

    /// How many restarts of the database were noticed: each may have undone the last batches. SQLite's go with the process.
    pub fn restarts(&self) -> u64 {
        match self {
            Self::Postgres(engine) => engine.restarts(),
            Self::Sqlite(_) => 0,
        }
    }

    /// A connection of a projector's own.
    pub async fn session(&self) -> Result<Session, StoreError> {
        Ok(match self {
            Self::Postgres(engine) => Session::Postgres(engine.session().await?),
            Self::Sqlite(engine) => Session::Sqlite(engine.session()?),
        })
    }

    /// Stops threads and closes connections.
    pub async fn close(&self) {
        each!(Store, self, engine => engine.close().await);
    }
}

/// A projector's connection: at most one transaction at a time. Dropping it in a transaction rolls that back.
pub(crate) enum Session {
    Postgres(postgres::Session),
    Sqlite(sqlite::Session),
}

impl Session {
    /// Begins a transaction and takes the checkpoint rows of those live views that nobody else holds: `(view, version)`
    /// each. Answers what it got.
    pub async fn begin(&mut self, views: &[(&'static str, u32)]) -> Result<Vec<Checkpoint>, StoreError> {
        each!(Session, self, session => session.begin(views).await)
    }

    /// Inside a transaction: takes the row, waiting for whoever holds it; `None` if there is no such row.
    pub async fn lock(&mut self, checkpoint: &str) -> Result<Option<u64>, StoreError> {
        each!(Session, self, session => session.lock(checkpoint).await)
    }

    /// The rows with these keys, in any order; absent ones are left out.
    pub async fn load(
        &mut self,
        table: &'static Table,
        generation: u32,
        keys: Vec<Cells>,
    ) -> Result<Vec<Cells>, StoreError> {
        each!(Session, self, session => session.load(table, generation, keys).await)
    }

    /// Inside a transaction: writes everything, and moves the checkpoints named, in as few statements as can be.
    pub async fn write(&mut self, changes: Vec<Change>, checkpoints: Vec<(String, u64)>) -> Result<(), StoreError> {
        each!(Session, self, session => session.write(changes, checkpoints).await)
    }

    /// Outside a transaction: writes everything and moves the checkpoints, if each stands where it is known to and nobody
    /// holds it; false, with nothing written, if not. One transaction in one call, where begin, write and commit are three.
    pub async fn leap(&mut self, changes: Vec<Change>, moves: Vec<Move>) -> Result<bool, StoreError> {
        each!(Session, self, session => session.leap(changes, moves).await)
    }

    /// Inside a transaction: makes the tables of a generation.
    pub async fn create_tables(&mut self, tables: &'static [Table], generation: u32) -> Result<(), StoreError> {
        each!(Session, self, session => session.create_tables(tables, generation).await)
    }

    /// Inside a transaction: makes the tables' indexes, beside their primary keys.
    pub async fn create_indexes(&mut self, tables: &'static [Table], generation: u32) -> Result<(), StoreError> {
        each!(Session, self, session => session.create_indexes(tables, generation).await)
    }

    /// Whether others can write while a large table is indexed.
    pub const fn indexes_beside_writers(&self) -> bool {
        match self {
            Self::Postgres(_) => true,
            Self::Sqlite(_) => false,
        }
    }

    /// Runs one statement of the shared SQL subset, in the transaction if one is open. Answers its rows.
    pub async fn query(&mut self, sql: &str, params: Vec<Cell>) -> Result<Vec<Cells>, StoreError> {
        each!(Session, self, session => session.query(sql, params).await)
    }

    /// Inside a transaction: its commit outlives a crash of the database. Batches need not, since they can be applied
    /// again; a generation that was swapped in must, since its predecessor goes.
    pub async fn make_durable(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(session) => session.make_durable().await,
            // The database lives in this process: nobody remembers more than the file holds.
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Takes a lease, or takes it for longer, by the database's clock; answers the generation of holders, or `None` while
    /// somebody else has it. No transaction is open.
    pub async fn take_lease(&mut self, name: &str, holder: Uuid, time: Duration) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Postgres(session) => session.take_lease(name, holder, time).await,
            // The directory's lock is held by one process.
            Self::Sqlite(_) => Ok(Some(1)),
        }
    }

    /// Ends a lease before its time.
    pub async fn release_lease(&mut self, name: &str, holder: Uuid) -> Result<(), StoreError> {
        match self {
            Self::Postgres(session) => session.release_lease(name, holder).await,
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Makes the transaction's changes visible to everybody.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        each!(Session, self, session => session.commit().await)
    }

    /// Forgets the transaction, if one is open.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        each!(Session, self, session => session.rollback().await)
    }
}
