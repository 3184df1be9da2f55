//! The `AsyncAPI` 3.0 document of the Kafka topics, made from the contract's table.

use serde_json::{Map, Value, json};

use super::schema::payload;
use super::{BillingType, schema_path};

/// Version of the Kafka bindings that the document uses.
const BINDING: &str = "0.5.0";

/// What the exporter's topics are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics<'a> {
    /// That of the billing events.
    pub billing: &'a str,
    /// That of the exporter's own progress.
    pub progress: &'a str,
}

impl Default for Topics<'_> {
    fn default() -> Self {
        Self { billing: "tenure.billing.v1", progress: "tenure.billing.progress.v1" }
    }
}

/// The document. It refers to nothing outside itself.
#[must_use]
pub fn asyncapi(topics: Topics<'_>) -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tenure billing events",
            "version": "1.0.0",
            "description": "What the customers of managed service providers are billed for, as CloudEvents 1.0 in Kafka's \
                binary mode. Each event is in the log's order within its tenant, and there exactly once for consumers with \
                isolation.level=read_committed. Optional members may be added to a payload at any time; nothing else \
                changes within v1.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "billing": {
                "address": topics.billing,
                "title": "Billing events",
                "description": "Keyed by tenant: the events of one tenant share a partition. Read with \
                    isolation.level=read_committed.",
                "messages": each(|kind| reference("components/messages", kind.name())),
                "bindings": { "kafka": {
                    "topic": topics.billing,
                    "topicConfiguration": { "cleanup.policy": ["delete"] },
                    "bindingVersion": BINDING,
                } },
            },
            "progress": {
                "address": topics.progress,
                "title": "Progress of the exporter",
                "description": "Internal: how far the log is exported. Not for consumers; it may change with any release.",
                "x-internal": true,
                "messages": { "progress": reference("components/messages", "progress") },
                "bindings": { "kafka": {
                    "topic": topics.progress,
                    "partitions": 1,
                    "topicConfiguration": { "cleanup.policy": ["compact"] },
                    "bindingVersion": BINDING,
                } },
            },
        },
        "operations": {
            "sendBillingEvent": {
                "action": "send",
                "channel": reference("channels", "billing"),
                "summary": "Everything that a tenant is billed for, once.",
                "messages": BillingType::ALL.map(|kind| reference("channels/billing/messages", kind.name())),
            },
            "sendProgress": {
                "action": "send",
                "channel": reference("channels", "progress"),
                "summary": "Internal: written in the transaction of the events that it counts.",
                "x-internal": true,
                "messages": [reference("channels/progress/messages", "progress")],
            },
        },
        "components": { "messages": messages(), "schemas": each(|kind| Value::Object(payload(kind))) },
    })
}

/// An object with a member for each type.
fn each(value: impl Fn(BillingType) -> Value) -> Map<String, Value> {
    BillingType::ALL.into_iter().map(|kind| (kind.name().to_owned(), value(kind))).collect()
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{place}/{name}") })
}

fn messages() -> Map<String, Value> {
    let mut messages = each(|kind| {
        json!({
            "name": kind.name(),
            "title": kind.name(),
            "summary": kind.about(),
            "contentType": "application/json",
            "headers": headers(kind),
            "payload": reference("components/schemas", kind.name()),
            "bindings": { "kafka": {
                "key": { "type": "string", "format": "uuid", "description": "The tenant's id." },
                "bindingVersion": BINDING,
            } },
        })
    });
    let progress =
        json!({ "name": "progress", "title": "Progress", "x-internal": true, "payload": { "type": "object" } });
    messages.insert("progress".to_owned(), progress);
    messages
}

/// CloudEvents' attributes, as its Kafka binding writes them in binary mode.
fn headers(kind: BillingType) -> Value {
    json!({
        "type": "object",
        "properties": {
            "ce_specversion": { "type": "string", "const": "1.0" },
            "ce_id": {
                "type": "string",
                "format": "uuid",
                "description": "The payload's eventId: the same for ever, also in a replay. What to deduplicate by.",
            },
            "ce_source": { "type": "string", "format": "uri-reference", "description": "The cell that the log belongs to." },
            "ce_type": { "type": "string", "const": kind.name() },
            "ce_subject": { "type": "string", "format": "uuid", "description": "The tenant's id, like the key." },
            "ce_time": { "type": "string", "format": "date-time", "description": "When it happened: occurredUtc." },
            "ce_sequence": {
                "type": "string",
                "pattern": "^[0-9]{20}$",
                "description": "The place in the log, padded with zeros so that it sorts as text.",
            },
            "ce_dataschema": {
                "type": "string",
                "format": "uri-reference",
                "description": format!("Where the payload's JSON Schema is served: it ends in {}.", schema_path(kind.name())),
            },
            "content-type": { "type": "string", "const": "application/json" },
            "ce_replayid": {
                "type": "string",
                "description": "Only on topics that a replay wrote: which replay. Never on this topic.",
            },
        },
        "required": [
            "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_sequence", "ce_dataschema",
            "content-type",
        ],
        "additionalProperties": true,
    })
}
