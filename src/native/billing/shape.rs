//! How the OpenAPI document describes a billing event: made from the contract's table, like the events themselves.

use tenure_projections::billing::{BillingType, ENVELOPE, Field, FieldKind};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// One event that a bill is made from.
pub struct BillingEvent;

impl ToSchema for BillingEvent {
    fn name() -> std::borrow::Cow<'static, str> {
        "BillingEvent".into()
    }
}

impl PartialSchema for BillingEvent {
    fn schema() -> RefOr<Schema> {
        let mut object = ObjectBuilder::new().description(Some("One event that a bill is made from."));
        for field in &ENVELOPE {
            object = object.property(field.name, value(field, field.about)).required(field.name);
        }
        for field in BillingType::all_fields() {
            let having = |kind: &BillingType| kind.fields().iter().any(|of| of.name == field.name);
            let types: Vec<_> = BillingType::ALL.into_iter().filter(having).map(BillingType::name).collect();
            object = object.property(field.name, value(field, &format!("{}: {}", types.join(", "), field.about)));
        }
        Schema::Object(object.build()).into()
    }
}

fn value(field: &Field, about: &str) -> Schema {
    let (kind, format) = match field.kind {
        FieldKind::Id => (Type::String, Some(KnownFormat::Uuid)),
        FieldKind::Time => (Type::String, Some(KnownFormat::DateTime)),
        FieldKind::TypeName | FieldKind::ShortCode | FieldKind::Reason | FieldKind::Month | FieldKind::Price => {
            (Type::String, None)
        }
        FieldKind::Position | FieldKind::Count => (Type::Integer, Some(KnownFormat::Int64)),
    };
    let kind = if field.nullable { SchemaType::from_iter([kind, Type::Null]) } else { SchemaType::new(kind) };
    let mut value =
        ObjectBuilder::new().schema_type(kind).format(format.map(SchemaFormat::KnownFormat)).description(Some(about));
    match field.kind {
        FieldKind::TypeName => value = value.enum_values(Some(BillingType::ALL.map(BillingType::name))),
        FieldKind::ShortCode => value = value.examples(["acme-corp"]),
        FieldKind::Month => value = value.examples(["2026-04"]),
        FieldKind::Price => value = value.examples(["price_1HhxOpBzq4JbCqRmJxkpzL2V"]),
        FieldKind::Position => value = value.minimum(Some(1)),
        FieldKind::Count => value = value.minimum(Some(0)),
        FieldKind::Id | FieldKind::Time | FieldKind::Reason => {}
    }
    Schema::Object(value.build())
}
