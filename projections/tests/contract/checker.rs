//! The check of compatibility itself, on changes made up to break readers, and on some that don't.

use serde_json::{Value, json};
use tenure_projections::billing::BillingType;
use tenure_projections::billing::contract::{Topics, asyncapi, schema};

use super::compatibility::breaking_changes;

/// What a change to the schema of a month's usage breaks.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let frozen = json!({
        "$id": "urn:tenure:billing:made.up:v1",
        "description": "made up",
        "type": "object",
        "properties": {
            "plan": { "type": "string", "enum": ["basic", "pro"] },
            "reason": { "type": ["string", "null"], "maxLength": 200 },
            "seats": { "type": "integer", "minimum": 0 },
            "place": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
            "description": { "type": "string", "const": "a field of that name" },
        },
        "required": ["plan", "seats"],
        "additionalProperties": true,
    });
    let mut new = frozen.clone();
    change(&mut new);
    breaking_changes(&frozen, &new)
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().shift_remove(name).expect("it is there");
}

#[test]
fn nothing_breaks_where_nothing_changes() {
    assert_eq!(changed(|_| {}), [""; 0]);
}

#[test]
fn an_optional_field_and_other_words_break_nobody() {
    assert_eq!(changed(|new| new["properties"]["note"] = json!({ "type": "string" })), [""; 0]);
    assert_eq!(changed(|new| new["properties"]["place"]["properties"]["zip"] = json!({ "type": "string" })), [""; 0]);
    assert_eq!(changed(|new| new["description"] = "said better".into()), [""; 0]);
    assert_eq!(changed(|new| new["properties"]["seats"]["description"] = "how many".into()), [""; 0]);
}

/// Something done to a schema.
type Change = fn(&mut Value);

#[test]
fn every_change_that_breaks_a_reader_is_found() {
    let cases: [(&str, Change); 14] = [
        ("/properties/reason was removed", |new| remove(&mut new["properties"], "reason")),
        ("/properties/place/properties/city was removed", |new| {
            remove(&mut new["properties"]["place"]["properties"], "city");
        }),
        (r#"/properties/seats/type was "integer" and is "string""#, |new| {
            new["properties"]["seats"]["type"] = "string".into();
        }),
        (r#"/properties/seats/type was "integer" and is ["integer","null"]"#, |new| {
            new["properties"]["seats"]["type"] = json!(["integer", "null"]);
        }),
        (r#"/properties/reason/type has no "null" any more"#, |new| {
            new["properties"]["reason"]["type"] = json!(["string"]);
        }),
        (r#"/required has no "seats" any more"#, |new| new["required"] = json!(["plan"])),
        ("/required was removed", |new| remove(new, "required")),
        (r#"/required has "note" now"#, |new| {
            new["properties"]["note"] = json!({ "type": "string" });
            new["required"] = json!(["plan", "seats", "note"]);
        }),
        (r#"/properties/plan/enum has no "pro" any more"#, |new| new["properties"]["plan"]["enum"] = json!(["basic"])),
        (r#"/properties/plan/enum has "free" now"#, |new| {
            new["properties"]["plan"]["enum"] = json!(["basic", "pro", "free"]);
        }),
        ("/properties/reason/maxLength was 200 and is 100", |new| {
            new["properties"]["reason"]["maxLength"] = 100.into();
        }),
        ("/properties/seats/maximum was added", |new| new["properties"]["seats"]["maximum"] = 9.into()),
        ("/properties/description was removed", |new| remove(&mut new["properties"], "description")),
        ("/additionalProperties was true and is false", |new| new["additionalProperties"] = false.into()),
    ];
    for (expected, change) in cases {
        assert_eq!(changed(change), [expected]);
    }
}

#[test]
fn the_topics_document_may_only_grow() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let frozen = asyncapi(Topics::default());
        let mut new = frozen.clone();
        change(&mut new);
        breaking_changes(&frozen, &new)
    };
    let message = "tenant.suspended";
    assert_eq!(changed(&|_| {}), [""; 0]);
    assert_eq!(
        changed(&|new| {
            let added = json!({ "$ref": "#/components/messages/tenant.moved" });
            new["channels"]["billing"]["messages"]["tenant.moved"] = added.clone();
            new["components"]["messages"]["tenant.moved"] = new["components"]["messages"][message].clone();
            new["operations"]["sendBillingEvent"]["messages"].as_array_mut().unwrap().push(added);
        }),
        [""; 0],
        "a new type of event"
    );
    assert_eq!(changed(&|new| new["info"]["version"] = "9".into()), [""; 0]);
    assert_eq!(changed(&|new| remove(&mut new["channels"], "progress")), [""; 0], "which is internal");
    assert_eq!(changed(&|new| remove(&mut new["channels"], "billing")), ["/channels/billing was removed"]);
    assert_eq!(
        changed(&|new| remove(&mut new["components"]["messages"], message)),
        ["/components/messages/tenant.suspended was removed"]
    );
    assert_eq!(changed(&|new| new["channels"]["billing"]["address"] = "elsewhere".into()).len(), 1);
    assert_eq!(
        changed(&|new| remove(&mut new["components"]["messages"][message]["headers"]["properties"], "ce_id")),
        ["/components/messages/tenant.suspended/headers/properties/ce_id was removed"]
    );
    assert_eq!(
        changed(&|new| remove(&mut new["components"]["messages"][message]["bindings"], "kafka")),
        ["/components/messages/tenant.suspended/bindings/kafka was removed"]
    );
    assert_eq!(
        changed(&|new| remove(&mut new["components"]["schemas"][message]["properties"], "reason")),
        ["/components/schemas/tenant.suspended/properties/reason was removed"]
    );
}

#[test]
fn a_real_schema_is_looked_into() {
    let frozen = schema(BillingType::UsageMonthly);
    let mut new = frozen.clone();
    remove(&mut new["properties"], "userCount");
    assert_eq!(breaking_changes(&frozen, &new), ["/properties/userCount was removed"]);
    let other = schema(BillingType::Suspended);
    assert!(!breaking_changes(&frozen, &other).is_empty());
}
