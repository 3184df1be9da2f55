//! How opening and reading the log can fail. How an append can fail stands beside [`crate::Append`].

use std::path::PathBuf;

use crate::engine::EngineError;
use crate::event::StreamId;

/// Why the log was not opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The schema is absent or older than this release: migrate first.
    #[error("the log's schema is not up to date: run `tenure migrate` first")]
    SchemaMissing,
    /// The schema was changed by a newer release in a way that this one can't work with.
    #[error("the log's schema is at level {found}, this release knows only up to {known}")]
    SchemaNewer {
        /// The level that the log has.
        found: i64,
        /// The highest level that this release can work with.
        known: i64,
    },
    /// The log was sealed with another master key.
    #[error("the log was sealed with another master key (fingerprint {theirs}, ours is {ours})")]
    OtherMasterKey {
        /// The fingerprint that the log remembers.
        theirs: String,
        /// The fingerprint of the key that was given.
        ours: String,
    },
    /// Another process has this `SQLite` directory open.
    #[error("{} is in use by another process", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The engine's address or directory can't be used as it is written.
    #[error("the engine is misconfigured: {reason}")]
    Misconfigured {
        /// For the operator.
        reason: String,
    },
    /// A migration failed; the log is as it was before that migration.
    #[error("a migration of the log failed")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine can't be reached.
    #[error("the log can't be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The engine can't be reached, or did not answer in time. Trying again later may help.
    #[error("the log can't be read")]
    Unavailable {
        /// What the engine's driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An event is not what was written: altered, truncated, or sealed with a key that never was its own.
    #[error("event {sequence} of stream {stream} is corrupt: {reason}")]
    Corrupt {
        /// The stream.
        stream: StreamId,
        /// The event's place in the stream.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Something else in the log is not what was written, for example a position is missing.
    #[error("the log is corrupt: {reason}")]
    CorruptLog {
        /// What is wrong with it.
        reason: String,
    },
}

impl From<EngineError> for ReadError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Corrupt(reason) => Self::CorruptLog { reason },
            EngineError::Unavailable(source) | EngineError::AnswerLost(source) | EngineError::Refused(source) => {
                Self::Unavailable { source }
            }
            EngineError::ClockSkew { .. } => Self::Unavailable { source: Box::new(error) },
        }
    }
}

impl From<EngineError> for OpenError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unavailable(source) | EngineError::AnswerLost(source) | EngineError::Refused(source) => {
                Self::Unavailable(source)
            }
            EngineError::ClockSkew { .. } | EngineError::Corrupt(_) => Self::Unavailable(Box::new(error)),
        }
    }
}
