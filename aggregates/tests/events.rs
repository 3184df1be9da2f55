//! The stored form of every event, frozen. A snapshot that changes means that old history can't be read any more: add an
//! upcaster and keep the old snapshot as its fixture, or take the change back.

use serde_json::Value;
use tenure_aggregates::access_token::{self, LastUse, last_use};
use tenure_aggregates::{
    AccessToken, Administrator, Decider, Link, Personal, Subscription, Tenant, administrator, decode, decode_text,
    link, subscription, tenant,
};

use crate::{given, subscription as subscriptions};

/// What the log stores in place of personal values. The bytes differ from append to append.
fn sealed(opened: Value) -> Value {
    match opened {
        Value::Object(fields) if fields.contains_key("$personal") => serde_json::json!({ "$sealed": "[sealed]" }),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, sealed(value))).collect(),
        Value::Array(values) => values.into_iter().map(sealed).collect(),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

/// Compares with the frozen form, in which the order of fields means nothing.
fn assert_json(name: &str, payload: &Value) {
    insta::with_settings!({ sort_maps => true, omit_expression => true }, {
        insta::assert_json_snapshot!(name, payload);
    });
}

/// Freezes both forms (one, if nothing is personal) and checks that they are read back.
fn assert_frozen<A: Decider>(name: &str, event: &A::Event) -> A::Event {
    let opened = serde_json::to_value(event).expect("an event made by a decision can be written");
    assert_json(name, &opened);
    assert_eq!(&decode::<A>(name, "1", &opened).expect("the opened form is read"), event);
    assert_eq!(&decode_text::<A>(name, "1", &opened.to_string()).expect("its text is read"), event);

    let stored = sealed(opened.clone());
    if stored != opened {
        assert_json(&format!("{name}.sealed"), &stored);
    }
    let read = decode::<A>(name, "1", &stored).expect("the sealed form is read");
    assert_eq!(decode_text::<A>(name, "1", &stored.to_string()).expect("its text is read"), read);
    read
}

#[test]
fn the_stored_form_of_a_tenants_events() {
    for event in given::tenant::every_event() {
        match (&event, assert_frozen::<Tenant>(event.name(), &event)) {
            (tenant::Event::Provisioned { .. }, tenant::Event::Provisioned { account, .. }) => {
                assert_eq!(account.contact_email, Personal::Sealed);
            }
            (tenant::Event::Updated { .. }, tenant::Event::Updated { changes, .. }) => {
                assert_eq!(changes.contact_email, Some(Personal::Sealed));
            }
            (tenant::Event::Unlinked { .. }, tenant::Event::Unlinked { owner, .. }) => {
                assert_eq!(owner, Personal::Sealed);
            }
            (_, sealed) => assert_eq!(sealed, event, "nothing personal in it"),
        }
    }
}

#[test]
fn the_stored_form_of_an_administrators_events() {
    for event in given::administrator::removed_after_accepting() {
        match (&event, assert_frozen::<Administrator>(event.name(), &event)) {
            (administrator::Event::Invited { .. }, administrator::Event::Invited { display_name, email, .. }) => {
                assert_eq!((display_name, email), (Personal::Sealed, Personal::Sealed));
            }
            (_, sealed) => assert_eq!(sealed, event, "nothing personal in it"),
        }
    }
}

#[test]
fn the_stored_form_of_a_links_and_a_subscriptions_events() {
    for event in given::link::every_event() {
        assert_eq!(assert_frozen::<Link>(event.name(), &event), event, "nothing personal in it");
    }
    for event in subscriptions::every_event() {
        assert_eq!(assert_frozen::<Subscription>(event.name(), &event), event, "nothing personal in it");
    }
}

#[test]
fn the_stored_form_of_an_access_tokens_events() {
    for event in given::access_token::revoked() {
        assert_eq!(assert_frozen::<AccessToken>(event.name(), &event), event, "nothing personal in it");
    }
    let used = last_use::Event::Used { at: given::at("2026-04-08T09:00:00Z") };
    assert_eq!(assert_frozen::<LastUse>(used.name(), &used), used);
}

#[test]
fn the_kinds_of_tenants_in_their_stored_form() {
    let [provisioned] = &given::tenant::active_msp()[..] else { panic!("one event") };
    let payload = serde_json::to_value(provisioned).expect("written");
    assert_eq!(payload["tenant.provisioned"]["kind"], serde_json::json!({ "type": "msp" }));
    assert_eq!(&decode::<Tenant>("tenant.provisioned", "1", &payload).expect("read"), provisioned);
}

#[test]
fn joining_in_its_stored_form_with_an_address() {
    let joined = given::tenant::join(given::at("2026-05-01T12:00:00Z"));
    let events = given::state::<Tenant>(&given::tenant::independent()).decide(joined).expect("the owner agrees");
    let [event] = &events[..] else { panic!("one event") };
    let payload = serde_json::to_value(event).expect("written");
    let address = serde_json::json!({ "$personal": "ops@msp.example" });
    assert_eq!(payload["tenant.joined"]["contact_email"], address);
    assert_eq!(&decode::<Tenant>("tenant.joined", "1", &payload).expect("read"), event);
}

/// Fails to compile when an event is added, so that nobody forgets it in `every_event`.
#[test]
fn every_event_has_a_snapshot() {
    let place = |event: &tenant::Event| match event {
        tenant::Event::Provisioned { .. } => 0,
        tenant::Event::Updated { .. } => 1,
        tenant::Event::Suspended { .. } => 2,
        tenant::Event::Reinstated { .. } => 3,
        tenant::Event::Deprovisioned { .. } => 4,
        tenant::Event::Restored { .. } => 5,
        tenant::Event::Deleted { .. } => 6,
        tenant::Event::UsageReported { .. } => 7,
        tenant::Event::UsageMonthly { .. } => 8,
        tenant::Event::DomainProven { .. } => 9,
        tenant::Event::Joined { .. } => 10,
        tenant::Event::Unlinked { .. } => 11,
    };
    assert_eq!(given::tenant::every_event().each_ref().map(place), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

    let place = |event: &administrator::Event| match event {
        administrator::Event::Invited { .. } => 0,
        administrator::Event::Accepted { .. } => 1,
        administrator::Event::Removed { .. } => 2,
    };
    assert_eq!(given::administrator::removed_after_accepting().each_ref().map(place), [0, 1, 2]);

    let place = |event: &link::Event| match event {
        link::Event::Created { .. } => 0,
        link::Event::Updated { .. } => 1,
        link::Event::Verified { .. } => 2,
        link::Event::Invited { .. } => 3,
        link::Event::Accepted { .. } => 4,
        link::Event::Declined { .. } => 5,
        link::Event::Unlinked { .. } => 6,
        link::Event::Withdrawn { .. } => 7,
        link::Event::Closed { .. } => 8,
    };
    assert_eq!(given::link::every_event().each_ref().map(place), [0, 1, 2, 3, 4, 5, 6, 7, 8]);

    let place = |event: &subscription::Event| match event {
        subscription::Event::Changed { .. } => 0,
        subscription::Event::Cancelled { .. } => 1,
    };
    assert_eq!(subscriptions::every_event().each_ref().map(place), [0, 1]);
    let place = |event: &access_token::Event| match event {
        access_token::Event::Created { .. } => 0,
        access_token::Event::Revoked { .. } => 1,
    };
    assert_eq!(given::access_token::revoked().each_ref().map(place), [0, 1]);
    let last_use::Event::Used { .. } = last_use::Event::Used { at: given::at("2026-04-08T09:00:00Z") };
}

#[test]
fn an_event_in_a_log_line_gives_nobody_away() {
    let lines = format!("{:?}{:?}", given::tenant::every_event(), given::administrator::removed_after_accepting());
    for personal in ["it@acme", "ada@acme", "Ada", "Lovelace"] {
        assert!(!lines.contains(personal), "{personal}");
    }
}
