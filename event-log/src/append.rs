//! What one append may change, and how it can be refused. An append is all or nothing.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{NewEvent, Position, StreamId};

/// Events for one stream, valid only if the stream still ends at `expected`.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamAppend {
    /// The stream to extend.
    pub stream: StreamId,
    /// The tenant that owns it, whose key wraps the stream's data key.
    pub tenant_id: Uuid,
    /// The sequence of the stream's last event; 0 for a stream that does not exist yet.
    pub expected: u64,
    /// At least one event.
    pub events: Vec<NewEvent>,
}

/// A stream that was only read, and must not have moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamVersion {
    /// The stream that the decision looked at.
    pub stream: StreamId,
    /// The sequence that it was at; 0 if it did not exist.
    pub sequence: u64,
}

/// A name that only one aggregate of the cell may hold, for example a short code.
///
/// Keys never hold a personal value in the clear; see [`crate::EventLog::blind`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// What kind of name, for example `tenant.short-code`.
    pub scope: String,
    /// The name itself.
    pub key: String,
    /// The aggregate that holds it, for example its uuid.
    pub owner: String,
}

/// A change to a counted limit. The row is made when absent; the append is refused where `used` would leave `0..=max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitChange {
    /// What is counted, for example `tenant.seats`.
    pub scope: String,
    /// Whose, for example a tenant's uuid.
    pub key: String,
    /// Added to `used`; may be negative or zero.
    pub delta: i64,
    /// The new maximum; `None` leaves the present one (an absent row then has none to exceed: it is refused).
    pub max: Option<i64>,
}

/// Remembers that a request was answered, so that a repeat gets the same answer. It holds no body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Who asked: the tenant and the token's subject.
    pub principal: String,
    /// The client's `Idempotency-Key`.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub request_hash: [u8; 32],
    /// The stream whose state at `sequence` renders the answer.
    pub stream: StreamId,
    /// The stream's sequence after the command.
    pub sequence: u64,
    /// The HTTP status that was answered.
    pub status: u16,
    /// From then on the key may be used anew.
    pub expires_at: DateTime<Utc>,
}

/// Everything that one command changes, in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// Unique per command. The log finds by it whether an append whose answer was lost is there.
    pub command_id: Uuid,
    /// At least one stream; no stream twice.
    pub streams: Vec<StreamAppend>,
    /// Streams that were only read and must still be where they were.
    pub unchanged: Vec<StreamVersion>,
    /// Names to take.
    pub claims: Vec<Claim>,
    /// Names to give back; they must be held by the owner named.
    pub releases: Vec<Claim>,
    /// Counted limits to change.
    pub limits: Vec<LimitChange>,
    /// Tenants whose keys are destroyed: their personal data can never be read again.
    pub erase_tenants: Vec<Uuid>,
    /// At most one record of the request.
    pub idempotency: Option<IdempotencyRecord>,
}

impl Append {
    /// An append to one stream and nothing else.
    #[must_use]
    pub const fn new(command_id: Uuid, streams: Vec<StreamAppend>) -> Self {
        Self {
            command_id,
            streams,
            unchanged: Vec::new(),
            claims: Vec::new(),
            releases: Vec::new(),
            limits: Vec::new(),
            erase_tenants: Vec::new(),
            idempotency: None,
        }
    }
}

/// Where an append waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for the answer.
    Foreground,
    /// Scheduler, imports, replay: at most a quarter of a batch.
    Background,
}

/// A committed append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of its first event.
    pub first: Position,
    /// Position of its last event.
    pub last: Position,
    /// When the log took it.
    pub recorded_at: DateTime<Utc>,
}

/// The rule that an append broke. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Somebody else extended the stream first.
    #[error("stream {stream} is no longer at sequence {expected}")]
    StreamMoved {
        /// The stream.
        stream: StreamId,
        /// Where the command thought it was.
        expected: u64,
    },
    /// A stream that the decision depended on has moved.
    #[error("stream {stream}, which the command depends on, is no longer at sequence {expected}")]
    GuardMoved {
        /// The stream.
        stream: StreamId,
        /// Where the command thought it was.
        expected: u64,
    },
    /// The name is held by another aggregate.
    #[error("claim {scope} is taken")]
    ClaimTaken {
        /// The claim's scope; its key may be confidential and is not repeated.
        scope: String,
    },
    /// The name to release is not held by the owner named.
    #[error("claim {scope} is not held by this owner")]
    ClaimNotHeld {
        /// The claim's scope.
        scope: String,
    },
    /// The counted limit would be exceeded (or fall below zero).
    #[error("limit {scope} exceeded")]
    LimitExceeded {
        /// The limit's scope.
        scope: String,
    },
    /// A request with this principal and idempotency key was already answered.
    #[error("a request with this idempotency key was already answered")]
    RequestRepeated,
    /// The tenant's keys were destroyed; nothing personal can be written for it.
    #[error("the keys of tenant {tenant_id} were destroyed")]
    KeyDestroyed {
        /// The tenant.
        tenant_id: Uuid,
    },
}

/// Why an append was not committed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A rule was violated; deciding again on a fresh load may help.
    #[error(transparent)]
    Violated(#[from] Violation),
    /// The queue is full; try again later. Nothing was written.
    #[error("the append queue is full")]
    Overloaded,
    /// The engine can't be reached, or the clocks differ by more than 2 s. Nothing was written, unless `unknown`.
    #[error("the log can't be written: {reason}")]
    Unavailable {
        /// For the operator.
        reason: String,
        /// True when the process stops before it could learn whether the append was committed.
        unknown: bool,
    },
    /// The append itself is malformed, for example it holds U+0000 or no event: a mistake of the caller's.
    #[error("malformed append: {0}")]
    Malformed(&'static str),
}
