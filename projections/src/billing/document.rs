//! The public JSON document of a billing event. The API's lists and Kafka's payloads are these same bytes.

use std::fmt;
use std::io::Write as _;

use chrono::SecondsFormat;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{BillingEvent, BillingType, Field};

/// Why a billing event can't be written. Its row is not what the projector of this release wrote.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Only a newer release knows the type.
    #[error("the billing event at position {position} has the unknown type {name:?}")]
    UnknownType {
        /// Where in the log.
        position: u64,
        /// The type's name.
        name: String,
    },
    /// What the type adds is no JSON object.
    #[error("the details of the billing event at position {position} can't be read")]
    Malformed {
        /// Where in the log.
        position: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A field that every event of the type has is not there.
    #[error("the billing event at position {position} has no {field}")]
    Missing {
        /// Where in the log.
        position: u64,
        /// Its name.
        field: &'static str,
    },
}

/// Appends the event's document to `out`: one JSON object without white space, the envelope first, then the fields of its
/// type in the contract's order.
///
/// # Errors
/// [`DocumentError`]; what was appended then is no document.
pub fn write(event: &BillingEvent, out: &mut Vec<u8>) -> Result<(), DocumentError> {
    write_at(event, &occurred_utc(event), out)
}

/// The same for who has said already when it occurred.
pub(crate) fn write_at(event: &BillingEvent, occurred_utc: &str, out: &mut Vec<u8>) -> Result<(), DocumentError> {
    let details = details(event)?;
    let malformed = |source| DocumentError::Malformed { position: event.position.get(), source };
    out.extend_from_slice(br#"{"eventId":""#);
    out.extend_from_slice(event.event_id.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
    // Writing to memory does not fail.
    let _ = write!(out, r#"","position":{},"type":"#, event.position.get());
    serde_json::to_writer(&mut *out, &event.event_type).map_err(malformed)?;
    out.extend_from_slice(br#","tenantId":""#);
    out.extend_from_slice(event.tenant_id.as_uuid().hyphenated().encode_lower(&mut [0; 36]).as_bytes());
    out.extend_from_slice(br#"","shortCode":"#);
    serde_json::to_writer(&mut *out, &event.short_code).map_err(malformed)?;
    out.extend_from_slice(br#","occurredUtc":""#);
    out.extend_from_slice(occurred_utc.as_bytes());
    out.push(b'"');
    for (field, value) in details {
        let _ = write!(out, r#","{}":{}"#, field.name, value.get());
    }
    out.push(b'}');
    Ok(())
}

/// When it occurred, as the document says it: with as much of a fraction as there is.
#[must_use]
pub fn occurred_utc(event: &BillingEvent) -> String {
    event.occurred_at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// What the event's type adds to the envelope, each field as JSON text, in the contract's order.
///
/// # Errors
/// [`DocumentError`].
pub fn details(event: &BillingEvent) -> Result<Vec<(&'static Field, &RawValue)>, DocumentError> {
    let position = event.position.get();
    let kind = BillingType::named(&event.event_type)
        .ok_or_else(|| DocumentError::UnknownType { position, name: event.event_type.clone() })?;
    let fields = kind.fields();
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let mut stored = serde_json::Deserializer::from_str(&event.data);
    let members = stored.deserialize_map(Members).map_err(|source| DocumentError::Malformed { position, source })?;
    let mut found = Vec::with_capacity(fields.len());
    for field in fields {
        match members.iter().find(|(name, _)| *name == field.name) {
            Some((_, value)) => found.push((field, *value)),
            None if field.required => return Err(DocumentError::Missing { position, field: field.name }),
            None => {}
        }
    }
    Ok(found)
}

/// Reads an object's members without looking into them.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(&'de str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(4);
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tenure_aggregates::TenantId;
    use tenure_event_log::Position;
    use uuid::Uuid;

    use super::super::ENVELOPE;
    use super::*;

    fn event(name: &str, data: &str) -> BillingEvent {
        BillingEvent {
            position: Position::new(42),
            event_id: Uuid::from_u128(0xabcd),
            event_type: name.to_owned(),
            tenant_id: TenantId::from_uuid(Uuid::from_u128(7)),
            msp_id: TenantId::from_uuid(Uuid::from_u128(1)),
            short_code: "acme-corp".to_owned(),
            occurred_at: DateTime::from_timestamp_micros(1_775_572_200_250_000).unwrap(),
            recorded_at: DateTime::from_timestamp_micros(1_775_572_200_250_001).unwrap(),
            data: data.to_owned(),
        }
    }

    fn written(name: &str, data: &str) -> Result<String, DocumentError> {
        let mut bytes = Vec::new();
        write(&event(name, data), &mut bytes).map(|()| String::from_utf8(bytes).unwrap())
    }

    /// What every document above begins with.
    fn envelope(name: &str) -> String {
        format!(
            r#"{{"eventId":"00000000-0000-0000-0000-00000000abcd","position":42,"type":"{name}","tenantId":"00000000-0000-0000-0000-000000000007","shortCode":"acme-corp","occurredUtc":"2026-04-07T14:30:00.250Z""#
        )
    }

    /// The details that the projector stores, and what a document shows of them.
    const EXAMPLES: [(&str, &str, &str); 11] = [
        ("tenant.provisioned", r#"{"shortCode":"acme-corp"}"#, "}"),
        ("tenant.suspended", r#"{"reason":"unpaid \"twice\" é\n"}"#, r#","reason":"unpaid \"twice\" é\n"}"#),
        ("tenant.suspended", r#"{"reason":null}"#, r#","reason":null}"#),
        ("tenant.reinstated", "{}", "}"),
        (
            "tenant.deprovisioned",
            r#"{"retentionEndsUtc":"2026-05-07T14:30:00.250Z"}"#,
            r#","retentionEndsUtc":"2026-05-07T14:30:00.250Z"}"#,
        ),
        ("tenant.restored", r#"{"reason":"a mistake"}"#, r#","reason":"a mistake"}"#),
        ("tenant.deleted", "{}", "}"),
        (
            "tenant.usage.monthly",
            r#"{"grantCount":3,"period":"2026-04","resourceCount":2,"userCount":1}"#,
            r#","period":"2026-04","userCount":1,"resourceCount":2,"grantCount":3}"#,
        ),
        ("tenant.joined", r#"{"shortCode":"acme-corp"}"#, "}"),
        ("tenant.unlinked", "{}", "}"),
        ("tenant.subscription.changed", r#"{"priceId":"price_1"}"#, r#","priceId":"price_1"}"#),
    ];

    #[test]
    fn each_type_is_written_byte_for_byte_like_this() {
        for (name, data, rest) in EXAMPLES {
            assert_eq!(written(name, data).unwrap(), format!("{}{rest}", envelope(name)));
        }
        for kind in BillingType::ALL {
            assert!(EXAMPLES.iter().any(|(name, ..)| *name == kind.name()), "{} has no example", kind.name());
        }
    }

    #[test]
    fn a_documents_members_are_those_of_the_contract_in_its_order() {
        for (name, data, _) in EXAMPLES {
            let document = written(name, data).unwrap();
            let members = serde_json::Deserializer::from_str(&document).deserialize_map(Members).unwrap();
            let members: Vec<&str> = members.into_iter().map(|(name, _)| name).collect();
            let fields = BillingType::named(name).unwrap().fields();
            let expected: Vec<&str> = ENVELOPE.iter().chain(fields).map(|field| field.name).collect();
            assert_eq!(members, expected);
        }
    }

    #[test]
    fn what_is_not_a_billing_event_of_this_release_is_not_written() {
        assert!(matches!(written("tenant.exploded", "{}"), Err(DocumentError::UnknownType { position: 42, .. })));
        assert!(matches!(written("tenant.suspended", "{}"), Err(DocumentError::Missing { field: "reason", .. })));
        assert!(matches!(written("tenant.suspended", "[]"), Err(DocumentError::Malformed { position: 42, .. })));
        assert!(matches!(written("tenant.suspended", "{"), Err(DocumentError::Malformed { position: 42, .. })));
    }
}
