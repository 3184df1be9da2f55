//! What a backup of the log answers, and how it can fail.

use std::io;
use std::path::PathBuf;

use crate::{OpenError, Position};

/// A finished copy of the log: whole, checked and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The last position in the copy.
    pub head: Position,
    /// Size of the copy.
    pub bytes: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A server is backed up by its own programs.
    #[error("the log is on a PostgreSQL server, which is backed up by its own programs")]
    Server,
    /// Nothing is ever overwritten.
    #[error("{} is there already: a backup wants a directory of its own", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The log can't be opened, or was sealed with another key than the one to be kept with it.
    #[error("the log can't be copied")]
    Log(#[from] OpenError),
    /// The copy can't be written.
    #[error("{} can't be written", path.display())]
    Write {
        /// The copy, or its directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database did not let itself be copied, for example because the copy's disk is full.
    #[error("the log was not copied to {}", path.display())]
    Copy {
        /// Where to.
        path: PathBuf,
        /// What the engine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The copy is not a whole log; it was thrown away.
    #[error("the copy is damaged, and so perhaps is the log: {reason}")]
    Damaged {
        /// What the check found.
        reason: String,
    },
}
