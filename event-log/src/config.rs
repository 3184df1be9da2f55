//! What the log is opened with.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::{Clock, MasterKey};

/// Where the log is kept.
#[derive(Clone, Debug)]
pub enum EngineConfig {
    /// The embedded engine: one directory, one writing process.
    Sqlite {
        /// Holds `log.db` and the lock file.
        directory: PathBuf,
    },
    /// A `PostgreSQL` server, 15 or later; several processes may append.
    Postgres {
        /// `postgres://user:password@host/database`.
        url: SecretString,
        /// Most connections that readers of this process hold at once; the writer has one more of its own.
        max_connections: u32,
    },
}

/// Everything that [`crate::EventLog::open`] wants to know.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Where the log is kept.
    pub engine: EngineConfig,
    /// Wraps every tenant's key.
    pub master_key: MasterKey,
    /// Stamps `recorded_at`.
    pub clock: Clock,
    /// Appends that may wait in each lane; a further one is refused with [`crate::AppendError::Overloaded`].
    pub queue_capacity: usize,
    /// Most appends that are committed together.
    pub max_batch: usize,
    /// How long appends wait for an engine that can't be reached before they are refused, in milliseconds.
    pub outage_patience_ms: u64,
}

impl LogConfig {
    /// The defaults: 10,000 appends may wait per lane, up to 256 are committed together, an outage is waited out for 3 s.
    #[must_use]
    pub const fn new(engine: EngineConfig, master_key: MasterKey, clock: Clock) -> Self {
        Self { engine, master_key, clock, queue_capacity: 10_000, max_batch: 256, outage_patience_ms: 3_000 }
    }
}
