//! A billing event as it comes: a `CloudEvent` 1.0 in Kafka's binary mode, attributes in headers, data in the value.

use std::str::from_utf8;

use anyhow::{Context, ensure};
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use serde_json::{Map, Value};

/// What a bill is made from. All of a tenant's events share a partition, so they come in the log's order.
pub struct BillingEvent {
    /// The same whenever this event is sent: what to know it by.
    pub id: String,
    /// For example `tenant.suspended`.
    pub kind: String,
    pub tenant: String,
    /// Where it stands in Tenure's log; it grows with time.
    pub position: u64,
    /// When it happened, RFC 3339.
    pub time: String,
}

impl BillingEvent {
    /// # Errors
    /// When the record is none of Tenure's billing events. To go on would be to lose money: stop, and have a look.
    pub fn read(message: &BorrowedMessage<'_>) -> anyhow::Result<Self> {
        let place = || format!("partition {}, offset {} is no billing event", message.partition(), message.offset());
        Self::parse(message).with_context(place)
    }

    fn parse(message: &BorrowedMessage<'_>) -> anyhow::Result<Self> {
        let version = header(message, "ce_specversion")?;
        ensure!(version == "1.0", "it is a CloudEvent of version {version}, not 1.0");
        // The details: reason, counts, period ... This example bills nothing and only sees that they are there.
        let data = message.payload().context("it has no value")?;
        let _: Map<String, Value> = serde_json::from_slice(data).context("its value is no JSON object")?;
        Ok(Self {
            id: header(message, "ce_id")?,
            kind: header(message, "ce_type")?,
            tenant: header(message, "ce_subject")?,
            position: header(message, "ce_sequence")?.parse().context("its ce_sequence is no number")?,
            time: header(message, "ce_time")?,
        })
    }
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> anyhow::Result<String> {
    let headers = message.headers().context("it has no headers")?;
    let found = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    let text = from_utf8(found.with_context(|| format!("it has no header {name}"))?);
    Ok(text.with_context(|| format!("its header {name} is no text"))?.to_owned())
}
