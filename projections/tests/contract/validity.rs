//! Every billing event of a whole life fits the schema of its type.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tenure_aggregates::tenant::Command;
use tenure_aggregates::values::UsagePeriod;
use tenure_event_log::Position;
use tenure_projections::billing::contract::{Topics, asyncapi, schema};
use tenure_projections::billing::{BillingFilter, BillingScope, BillingType, document, page};

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(every_event_of_a_life_fits_the_schema_of_its_type);

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::meta::validate(schema).expect("a schema of draft 2020-12");
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

#[track_caller]
fn assert_fits(document: &Value, schema: &Value) {
    let errors: Vec<String> = validator(schema).iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{document}: {errors:?}");
    let named = schema["properties"].as_object().unwrap();
    let unnamed: Vec<_> = document.as_object().unwrap().keys().filter(|name| !named.contains_key(*name)).collect();
    assert!(unnamed.is_empty(), "{document} has more than its schema names: {unnamed:?}");
}

async fn every_event_of_a_life_fits_the_schema_of_its_type(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    world.suspend(tenant).await.unwrap();
    world.reinstate(tenant).await.unwrap();
    world.subscribe(tenant, "price_1").await;
    world.unlink(tenant).await.unwrap();
    let msp = world.msp;
    world.join(tenant, msp).await.unwrap();
    let at = world.now();
    world.command(tenant, Command::Suspend { reason: None, at }).await.unwrap();
    let period = UsagePeriod::containing(world.now());
    world.bill(tenant, period, period.ends_at() + TimeDelta::days(3)).await.unwrap();
    world.deprovision(tenant).await.unwrap();
    world.restore(tenant).await.unwrap();
    world.deprovision(tenant).await.unwrap();
    world.delete(tenant).await.unwrap();
    passed(&views, world.head).await;

    let scope = BillingScope::Msp(world.msp);
    let events = page(&views, scope, &BillingFilter::default(), Position::START, 100).await.unwrap();
    let mut seen = BTreeSet::new();
    for event in &events {
        let mut bytes = Vec::new();
        document::write(event, &mut bytes).unwrap();
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        let kind = BillingType::named(&event.event_type).unwrap();
        assert_fits(&written, &schema(kind));
        // On the topic it is described a second time.
        assert_fits(&written, &asyncapi(Topics::default())["components"]["schemas"][kind.name()]);
        seen.insert(kind.name());
    }
    assert_eq!(seen, BTreeSet::from(BillingType::ALL.map(BillingType::name)), "each type is in a life");
}

#[test]
fn the_examples_fit_and_what_is_wrong_does_not() {
    for kind in BillingType::ALL {
        let schema = schema(kind);
        let example = &schema["examples"][0];
        assert_fits(example, &schema);
        let validator = validator(&schema);
        for (name, wrong) in [
            ("eventId", json!("not an id")),
            ("position", json!(0)),
            ("position", json!("42")),
            ("type", json!("tenant.exploded")),
            ("tenantId", json!(null)),
            ("shortCode", json!("Acme Corp")),
            ("occurredUtc", json!("2026-04-07T14:30:00+02:00")),
            ("occurredUtc", json!("yesterday")),
        ] {
            let mut document = example.clone();
            document[name] = wrong;
            assert!(!validator.is_valid(&document), "{document}");
        }
        for field in kind.fields() {
            let mut document = example.clone();
            document.as_object_mut().unwrap().shift_remove(field.name);
            assert!(!validator.is_valid(&document), "{document} without {}", field.name);
            document[field.name] = json!(-1);
            assert!(!validator.is_valid(&document), "{document}");
            document[field.name] = json!(null);
            assert_eq!(validator.is_valid(&document), field.nullable, "{document}");
        }
    }
}
