//! A JSON Schema (2020-12) per type of billing event, made from the contract's table.

use serde_json::{Map, Value, json};

use super::{BillingType, ENVELOPE, Field, FieldKind};

/// Where a service serves the schema of a type of billing event, below its public URL.
#[must_use]
pub fn schema_path(event_type: &str) -> String {
    format!("/schemas/billing/{event_type}.v1.json")
}

/// The schema of a type's documents. Members that it does not name are allowed: optional ones are added over time.
#[must_use]
pub fn schema(kind: BillingType) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("$id".to_owned(), format!("urn:tenure:billing:{}:v1", kind.name()).into());
    schema.append(&mut payload(kind));
    Value::Object(schema)
}

/// The schema without the keywords that name it, for documents that contain it.
pub(super) fn payload(kind: BillingType) -> Map<String, Value> {
    let (mut properties, mut required, mut example) = (Map::new(), Vec::new(), Map::new());
    for field in ENVELOPE.iter().chain(kind.fields()) {
        properties.insert(field.name.to_owned(), property(field, kind));
        example.insert(field.name.to_owned(), sample(field, kind));
        if field.required {
            required.push(field.name);
        }
    }
    let members = [
        ("title", kind.name().into()),
        ("description", kind.about().into()),
        ("type", "object".into()),
        ("properties", Value::Object(properties)),
        ("required", required.into()),
        ("additionalProperties", true.into()),
        ("examples", json!([example])),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn property(field: &Field, kind: BillingType) -> Value {
    let mut property = match field.kind {
        FieldKind::Id => json!({ "type": "string", "format": "uuid" }),
        FieldKind::Position => json!({ "type": "integer", "minimum": 1 }),
        FieldKind::TypeName => json!({ "type": "string", "const": kind.name() }),
        FieldKind::ShortCode => json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{1,18}[a-z0-9]$" }),
        FieldKind::Time => json!({ "type": "string", "format": "date-time", "pattern": "Z$" }),
        FieldKind::Reason => json!({ "type": "string", "minLength": 1, "maxLength": 200 }),
        FieldKind::Month => json!({ "type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$" }),
        FieldKind::Count => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        FieldKind::Price => json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,255}$" }),
    };
    if field.nullable {
        property["type"] = json!([property["type"], "null"]);
    }
    property["description"] = field.about.into();
    property
}

fn sample(field: &Field, kind: BillingType) -> Value {
    match (field.kind, field.name) {
        (FieldKind::Id, "tenantId") => "019d66ce-1a40-7000-8000-000000000007".into(),
        (FieldKind::Id, _) => "2b1d7a52-6a1e-5c39-9d53-0f6f1c2a549d".into(),
        (FieldKind::Position, _) => 42.into(),
        (FieldKind::TypeName, _) => kind.name().into(),
        (FieldKind::ShortCode, _) => "acme-corp".into(),
        (FieldKind::Time, "occurredUtc") => "2026-04-07T14:30:00Z".into(),
        (FieldKind::Time, _) => "2026-05-07T14:30:00Z".into(),
        (FieldKind::Reason, _) => "invoice 4711 is unpaid".into(),
        (FieldKind::Month, _) => "2026-04".into(),
        (FieldKind::Count, _) => 12.into(),
        (FieldKind::Price, _) => "price_1HhxOpBzq4JbCqRmJxkpzL2V".into(),
    }
}
