//! What tests start from: histories, commands and values with which nothing is wrong.

use std::fmt::Debug;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use cqrs_es::persist::SerializedEvent;
use serde_json::json;
use tenure_aggregates::{Decider, TenantId};

pub mod access_token;
pub mod administrator;
pub mod link;
pub mod tenant;

pub fn value<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("the tests' values are valid")
}

pub fn at(text: &str) -> DateTime<Utc> {
    value(text)
}

pub fn tenant_id() -> TenantId {
    value("0198a1b2-c3d4-7000-8000-000000000001")
}

pub fn msp_id() -> TenantId {
    value("0198a1b2-c3d4-7000-8000-000000000002")
}

/// The state after a history.
pub fn state<A: Decider>(history: &[A::Event]) -> A {
    history.iter().fold(A::default(), |state, event| state.evolve(event).expect("the tests' histories are possible"))
}

/// A history as the log hands it over.
pub fn stored<A: Decider>(aggregate_id: &str, history: &[A::Event]) -> Vec<SerializedEvent> {
    let stored = |(index, event): (usize, &A::Event)| {
        SerializedEvent::new(
            aggregate_id.to_owned(),
            index + 1,
            A::TYPE.to_owned(),
            event.event_type(),
            event.event_version(),
            serde_json::to_value(event).expect("an event made by a decision can be written"),
            json!({}),
        )
    };
    history.iter().enumerate().map(stored).collect()
}
