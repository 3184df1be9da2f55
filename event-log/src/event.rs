//! Events as the log sees them: a name, a version, a JSON payload and flat metadata.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
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
    pub payload: Json,
    /// Who, why and from where. The log adds `command_id` itself.
    pub metadata: BTreeMap<String, MetadataValue>,
}

/// JSON as its text, which is how it stands in the log. Whoever follows the log needs part of what it says, or nothing, and
/// parses that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Writes a value as JSON.
    ///
    /// # Errors
    ///
    /// It can't be written as JSON.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        Ok(Self(serde_json::to_string(value)?))
    }

    /// Takes a text for what it says.
    ///
    /// # Errors
    ///
    /// It is no JSON.
    pub fn new(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        serde_json::from_str::<IgnoredAny>(&text)?;
        Ok(Self(text))
    }

    /// The same where somebody else has looked at it: we wrote it, or a column holds nothing but JSON.
    pub(crate) fn checked(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it is stored.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What it says.
    ///
    /// # Errors
    ///
    /// It says something else.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
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
    pub event_type: Cow<'static, str>,
    /// The version of the payload's shape.
    pub event_version: Cow<'static, str>,
    /// The payload as stored.
    pub payload: Json,
    /// The metadata as stored: a flat object of strings.
    pub metadata: Json,
    /// When the log took it; never falls along positions.
    pub recorded_at: DateTime<Utc>,
}
