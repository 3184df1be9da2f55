//! Opening `log.db`: the one writing connection, the read-only ones, the lock on the directory and the migrations.

use std::error::Error;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use crate::OpenError;

/// The log's file in its directory.
pub(super) const FILE: &str = "log.db";

/// Locked by the process that serves the directory; it holds nothing.
const LOCK_FILE: &str = "serve.lock";

/// Pages in the WAL after which the writer checkpoints, about 16 MB.
const CHECKPOINT_PAGES: u32 = 4_000;
/// To what the WAL's file shrinks when it is begun anew, in bytes: a reader that stayed open for long had let it grow.
const WAL_LIMIT: u32 = 32 * 1024 * 1024;

/// Only somebody else's tool, a recovery or a backup can ever hold a lock that we wait for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages that the writer keeps, besides those that the system has cached. 64 MiB made nothing faster.
const CACHE_KIB: i32 = 16 * 1024;

/// More than there are distinct statements, so that none is ever prepared twice.
const STATEMENTS: usize = 64;

const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/log/0001_log.sql"),
    include_str!("../../../migrations/sqlite/log/0002_log_id.sql"),
    include_str!("../../../migrations/sqlite/log/0003_billing_index.sql"),
];

/// The only connection that writes or checkpoints, with the lock that makes it the only one.
pub(super) struct Writer {
    pub connection: Connection,
    /// An erasure left the erased bytes in the WAL.
    pub truncate_wal: bool,
    // Declared last, so that the directory is released after the connection is closed.
    _lock: DirectoryLock,
}

impl Writer {
    /// Empties the WAL if an erasure asks for it, waiting at most `patience` for readers; what fails is tried again
    /// later.
    pub fn truncate_wal_if_due(&mut self, patience: Duration) {
        if !self.truncate_wal {
            return;
        }
        let truncated = self.connection.busy_timeout(patience).and_then(|()| {
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        match truncated {
            Ok(busy) => self.truncate_wal = busy != 0,
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be emptied after an erasure"),
        }
        if let Err(error) = self.connection.busy_timeout(BUSY_TIMEOUT) {
            tracing::warn!(%error, "the busy timeout could not be set");
        }
    }
}

/// Applies the migrations that the directory's log lacks.
pub(super) fn migrate(directory: &Path) -> Result<(), OpenError> {
    fs::create_dir_all(directory).map_err(unavailable)?;
    let _lock = lock(directory)?;
    let mut connection =
        writable(directory, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).map_err(unavailable)?;
    refuse_newer(schema_level(&connection)?)?;
    let migrations = Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect());
    migrations.to_latest(&mut connection).map_err(|error| OpenError::Migration(error.into()))
}

/// The writing connection of a migrated log, and the lock on its directory.
pub(super) fn open_writer(directory: &Path) -> Result<Writer, OpenError> {
    require_file(directory)?;
    let lock = lock(directory)?;
    let connection = writable(directory, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unavailable)?;
    require_schema(&connection)?;
    // The last process may have been killed between an erasure and its truncation.
    let mut writer = Writer { connection, truncate_wal: true, _lock: lock };
    writer.truncate_wal_if_due(Duration::ZERO);
    Ok(writer)
}

/// A connection that can neither write nor checkpoint.
pub(super) fn open_reader(directory: &Path) -> Result<Connection, OpenError> {
    require_file(directory)?;
    let connection = readable(directory).map_err(unavailable)?;
    require_schema(&connection)?;
    Ok(connection)
}

fn readable(directory: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(FILE), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn writable(directory: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(directory.join(FILE), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The right to write in the directory.
struct DirectoryLock(File);

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a child process that is just being started has a copy of the descriptor.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the directory of the log could not be unlocked");
        }
    }
}

fn lock(directory: &Path) -> Result<DirectoryLock, OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(DirectoryLock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { directory: directory.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

/// Without it, a mistyped directory would be taken for a database that can't be opened.
fn require_file(directory: &Path) -> Result<(), OpenError> {
    if directory.join(FILE).try_exists().map_err(unavailable)? { Ok(()) } else { Err(OpenError::SchemaMissing) }
}

fn require_schema(connection: &Connection) -> Result<(), OpenError> {
    let found = schema_level(connection)?;
    refuse_newer(found)?;
    if found == known_level() { Ok(()) } else { Err(OpenError::SchemaMissing) }
}

fn refuse_newer(found: i64) -> Result<(), OpenError> {
    let known = known_level();
    if found <= known { Ok(()) } else { Err(OpenError::SchemaNewer { found, known }) }
}

/// How many migrations the file has seen; `rusqlite_migration` counts them there.
fn schema_level(connection: &Connection) -> Result<i64, OpenError> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(unavailable)
}

fn known_level() -> i64 {
    MIGRATIONS.len().try_into().unwrap_or(i64::MAX)
}

fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> OpenError {
    OpenError::Unavailable(error.into())
}
