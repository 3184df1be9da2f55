//! Events as the log sees them: a name, a version, a JSON payload and flat metadata.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::Position;

/// Names one stream: the aggregate's type and its id, as postgres-es stores them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The aggregate's `TYPE`, for example `tenant`.
    pub aggregate_type: Cow<'static, str>,
    /// The aggregate's id, for example a uuid in its hyphenated form.
    pub aggregate_id: String,
}

impl StreamId {
    /// The stream of one aggregate.
    pub fn new(aggregate_type: impl Into<Cow<'static, str>>, aggregate_id: impl Into<String>) -> Self {
        Self { aggregate_type: aggregate_type.into(), aggregate_id: aggregate_id.into() }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.aggregate_id)
    }
}

/// A metadata value. cqrs-es wants metadata to be a flat object of strings, so a personal value is sealed into a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataValue {
    /// Stored as it is.
    Plain(String),
    /// Sealed with the stream's data key before it is stored, opened after it is read.
    Personal(String),
}

/// An event that is to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The business's name of the event, for example `tenant.suspended`.
    pub event_type: Cow<'static, str>,
    /// The version of the payload's shape, for example `1`.
    pub event_version: Cow<'static, str>,
    /// The payload; personal values stand in it as `{"$personal": value}`, at any depth, and are sealed before the append.
    pub payload: Value,
    /// Who, why and from where. The log adds `command_id` itself.
    pub metadata: BTreeMap<String, MetadataValue>,
}

/// An event as it stands in the log.
///
/// A feed hands it over sealed: personal values are `{"$sealed": ...}` in the payload. [`crate::EventLog::open_events`]
/// opens them; what a destroyed key sealed becomes `{"$erased": true}`, or `erased` in metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// Its place in the total order.
    pub position: Position,
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, counted from 1.
    pub sequence: u64,
    /// The tenant that the event concerns.
    pub tenant_id: Uuid,
    /// The business's name of the event.
    pub event_type: String,
    /// The version of the payload's shape.
    pub event_version: String,
    /// The payload as stored.
    pub payload: Value,
    /// The metadata as stored.
    pub metadata: BTreeMap<String, String>,
    /// When the log took it; never falls along positions.
    pub recorded_at: DateTime<Utc>,
}
