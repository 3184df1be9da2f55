//! A billing event as a Kafka record: a `CloudEvent` 1.0 in binary mode, its attributes as headers, its data as the value.
//!
//! Source: the `CloudEvents` specification 1.0.2 and its Kafka protocol binding.

use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use uuid::Uuid;

use super::settings::ExportSettings;
use crate::billing::{BillingEvent, DocumentError, document, schema_path};

/// Digits of `ce_sequence`: as many as the longest position has, so that text sorts like the number.
const SEQUENCE_DIGITS: usize = 20;

/// One record, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Record {
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
pub(super) struct Envelope {
    source: String,
    public_url: String,
    /// Marks copies that are not for a live topic.
    replay: Option<String>,
}

impl Envelope {
    pub fn new(settings: &ExportSettings) -> Self {
        Self { source: settings.source(), public_url: settings.public_url.clone(), replay: None }
    }

    /// For copies: `ce_replayid` tells them from what was exported live, and one replay from another.
    pub fn of_replay(settings: &ExportSettings, id: Uuid) -> Self {
        Self { replay: Some(id.to_string()), ..Self::new(settings) }
    }

    pub fn record(&self, event: &BillingEvent) -> Result<Record, DocumentError> {
        let key = event.tenant_id.to_string();
        let id = event.event_id.to_string();
        let time = document::occurred_utc(event);
        let sequence = format!("{:0SEQUENCE_DIGITS$}", event.position.get());
        let schema = format!("{}{}", self.public_url, schema_path(&event.event_type));
        let mut attributes = vec![
            ("ce_specversion", "1.0"),
            ("ce_id", &id),
            ("ce_source", &self.source),
            ("ce_type", &event.event_type),
            ("ce_subject", &key),
            ("ce_time", &time),
            ("ce_sequence", &sequence),
            ("ce_dataschema", &schema),
            ("content-type", "application/json"),
        ];
        if let Some(replay) = &self.replay {
            attributes.push(("ce_replayid", replay));
        }
        let headers = attributes.into_iter().fold(OwnedHeaders::new_with_capacity(10), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let mut payload = Vec::with_capacity(320);
        document::write(event, &mut payload)?;
        Ok(Record { position: event.position.get(), key, payload, headers })
    }
}

/// What a record that was read says under a name, if that is text.
pub(super) fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    std::str::from_utf8(header.value?).ok()
}
