//! The durable, totally ordered log of one cell.
//!
//! This crate knows streams, positions and bytes. It never learns what a tenant does: `tenant_id` is only the owner whose
//! key wraps the data keys of a stream and by which a reader may narrow the log.
//!
//! [`EventLog`] is the whole of it: [`EventLog::append`] writes all or nothing, [`EventLog::load`] reads one stream,
//! [`EventLog::read`] and [`EventLog::feed`] read the total order.

mod append;
mod backup;
mod clock;
mod config;
mod engine;
mod error;
mod event;
mod feed;
mod log;
mod milestone;
mod position;
mod postgres;
mod recent;
mod sealing;
mod sqlite;
mod stats;
mod timed_cache;
mod writer;

pub use append::{
    Append, AppendError, Appended, Claim, IdempotencyRecord, Lane, LimitChange, StreamAppend, StreamVersion, Violation,
};
pub use backup::{Backup, BackupError};
pub use clock::Clock;
pub use config::{EngineConfig, LogConfig};
pub use error::{OpenError, ReadError};
pub use event::{Json, MetadataValue, NewEvent, RecordedEvent, StreamId};
pub use feed::{Feed, Hurry};
pub use log::{EventLog, Waiting};
pub use milestone::Milestone;
pub use position::Position;
pub use postgres::{PostgresServers, ServerWatch};
pub use sealing::{MasterKey, MasterKeyError};
pub use stats::{Distribution, Histogram, WriterStats};
pub use timed_cache::TimedCache;
