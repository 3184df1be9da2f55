//! A billing event as a Kafka record: a `CloudEvent` 1.0 in binary mode, its attributes as headers, its data as the value.
//!
//! Source: the `CloudEvents` specification 1.0.2 and its Kafka protocol binding.

use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use uuid::Uuid;

use crate::billing::{BillingEvent, BillingType, DocumentError, document, schema_path};
use crate::export::settings::ExportSettings;

/// Digits of `ce_sequence`: as many as the longest position has, so that text sorts like the number.
const SEQUENCE_DIGITS: usize = 20;

/// One record, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Where the event stands in the log.
    pub position: u64,
    /// The tenant's id: all events of a tenant share a partition, and so keep their order.
    pub key: String,
    /// JSON, never empty.
    pub payload: Vec<u8>,
    pub headers: OwnedHeaders,
}

/// Makes records of events.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    source: String,
    /// Where the schema of each type is.
    schemas: Vec<(&'static str, String)>,
    /// Marks copies that are not for a live topic.
    replay: Option<String>,
}

impl Envelope {
    pub fn new(settings: &ExportSettings) -> Self {
        let schema = |kind: BillingType| (kind.name(), format!("{}{}", settings.public_url, schema_path(kind.name())));
        Self { source: settings.source(), schemas: BillingType::ALL.map(schema).to_vec(), replay: None }
    }

    /// For copies: `ce_replayid` tells them from what was exported live, and one replay from another.
    pub fn of_replay(settings: &ExportSettings, id: Uuid) -> Self {
        Self { replay: Some(id.to_string()), ..Self::new(settings) }
    }

    pub fn record(&self, event: &BillingEvent) -> Result<Record, DocumentError> {
        let key = event.tenant_id.to_string();
        let time = document::occurred_utc(event);
        // First, because it knows which types there are.
        let mut payload = Vec::with_capacity(320);
        document::write_at(event, &time, &mut payload)?;
        let schema = self.schemas.iter().find(|(name, _)| *name == event.event_type).map_or("", |(_, schema)| schema);
        let (mut id, sequence) = ([0; 36], format!("{:0SEQUENCE_DIGITS$}", event.position.get()));
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_id", event.event_id.hyphenated().encode_lower(&mut id)),
            ("ce_source", &self.source),
            ("ce_type", &event.event_type),
            ("ce_subject", &key),
            ("ce_time", &time),
            ("ce_sequence", &sequence),
            ("ce_dataschema", schema),
            ("content-type", "application/json"),
        ];
        let replay = self.replay.as_deref().map(|replay| ("ce_replayid", replay));
        let headers = attributes
            .into_iter()
            .chain(replay)
            .fold(OwnedHeaders::new_with_capacity(attributes.len() + 1), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        Ok(Record { position: event.position.get(), key, payload, headers })
    }
}

/// What a record that was read says under a name, if that is text.
pub(crate) fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}
