//! A copy of `log.db` at one moment, made beside the service that writes it.
//!
//! The source is a connection that can neither write nor checkpoint, like every reader's. While it reads, the WAL can't be
//! reused and grows by what is written meanwhile, so the time of reading is what has to be short:
//!
//! - Copying in small steps would let go of the source in between, but begins anew whenever another process has written;
//!   under load it never ends.
//! - `VACUUM INTO` holds the source for as long as it takes to build every table and index anew.
//! - One step over all pages holds it for one sequential copy into memory pages of the system: that is done here. The copy
//!   is flushed and checked after the source was let go.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};

use super::{connection, reader};
use crate::engine::EngineError;
use crate::{Backup, BackupError, OpenError, Position};

/// The copy's name until it is whole.
const PARTIAL: &str = "log.db.partial";

/// Somebody who recovers the WAL holds the source for a moment: tried again this often, this far apart.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Copies the log of `directory` to `into`, which is made if need be.
pub(super) fn copy(directory: &Path, into: &Path, key: Option<&str>) -> Result<Backup, BackupError> {
    let target = into.join(connection::FILE);
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| BackupError::Write { path, source }
    };
    let source = connection::open_reader(directory)?;
    if let Some(ours) = key {
        require_key(&source, ours)?;
    }
    fs::create_dir_all(into).map_err(failed(into))?;
    if target.try_exists().map_err(failed(&target))? {
        return Err(BackupError::Exists { path: target });
    }
    let partial = Partial::create(into.join(PARTIAL))?;
    let head = copy_pages(source, &partial.0)?;
    let bytes = flush(&partial.0).map_err(failed(&partial.0))?;
    // A link, unlike a rename, replaces nothing.
    fs::hard_link(&partial.0, &target).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists { path: target.clone() },
        _ => BackupError::Write { path: target.clone(), source },
    })?;
    drop(partial);
    File::open(into).and_then(|into| into.sync_all()).map_err(failed(into))?;
    Ok(Backup { head, bytes })
}

/// A backup with a key that does not open it would be found out when it is needed.
fn require_key(source: &Connection, ours: &str) -> Result<(), BackupError> {
    match reader::fingerprint(source).map_err(OpenError::from)? {
        Some(theirs) if theirs != ours => Err(OpenError::OtherMasterKey { theirs, ours: ours.to_owned() }.into()),
        _ => Ok(()),
    }
}

/// Copies everything, closes the source and checks the copy; the copy's head.
fn copy_pages(source: Connection, path: &Path) -> Result<Position, BackupError> {
    let failed = |source: rusqlite::Error| BackupError::Copy { path: path.to_path_buf(), source: source.into() };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(path, flags).map_err(failed)?;
    // The copy needs neither a journal nor flushes of its own: what does not become whole is thrown away.
    copy.pragma_update(None, "journal_mode", "off").map_err(failed)?;
    copy.pragma_update(None, "synchronous", "off").map_err(failed)?;
    step(&source, &mut copy).map_err(failed)?;
    drop(source);
    let head = check(&copy)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    Ok(head)
}

fn step(source: &Connection, copy: &mut Connection) -> rusqlite::Result<()> {
    let backup = rusqlite::backup::Backup::new(source, copy)?;
    for _ in 0..ATTEMPTS {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            // Nothing was copied yet, since everything is copied under one hold of the source.
            _ => std::thread::sleep(PAUSE),
        }
    }
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None))
}

/// Every page is sound, and the events are those from 1 to the head.
fn check(copy: &Connection) -> Result<Position, BackupError> {
    let damaged = |reason: String| BackupError::Damaged { reason };
    let unread = |error: rusqlite::Error| damaged(error.to_string());
    let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(unread)?;
    if found != "ok" {
        return Err(damaged(found));
    }
    let (events, last): (u64, u64) = copy
        .query_row("SELECT count(*), coalesce(max(position), 0) FROM events", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(unread)?;
    let head = reader::head(copy).map_err(|error: EngineError| damaged(error.to_string()))?;
    if events == head.get() && last == head.get() {
        Ok(head)
    } else {
        Err(damaged(format!("{events} events up to position {last}, but the head is at {}", head.get())))
    }
}

/// Puts the copy's bytes on disk; how many there are.
fn flush(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// A copy that is not whole yet, or is known by its real name already; removed when dropped.
struct Partial(PathBuf);

impl Partial {
    /// Makes the file before SQLite does, for its owner's eyes only: there is everybody's history in it.
    fn create(path: PathBuf) -> Result<Self, BackupError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(Self(path)),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Exists { path }),
            Err(source) => Err(BackupError::Write { path, source }),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm"] {
            let mut name = self.0.clone().into_os_string();
            name.push(ending);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, file = %name.display(), "an unfinished backup could not be removed");
                }
                _ => {}
            }
        }
    }
}
