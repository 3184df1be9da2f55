//! What the tests append: things that happen, some of them to people.

use std::collections::BTreeMap;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_event_log::{
    Append, Claim, IdempotencyRecord, Json, LimitChange, MetadataValue, NewEvent, RecordedEvent, StreamAppend,
    StreamId, StreamVersion,
};
use uuid::Uuid;

pub const NAME: &str = "Wilhelmina Zzyzx";
pub const ADDRESS: &str = "203.0.113.77";

/// The aggregate that the tests load. The log only needs its `TYPE`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Thing;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Happened {}

impl DomainEvent for Happened {
    fn event_type(&self) -> String {
        match *self {}
    }

    fn event_version(&self) -> String {
        match *self {}
    }
}

impl Aggregate for Thing {
    const TYPE: &'static str = "thing";
    type Command = ();
    type Event = Happened;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, event: Happened) {
        match event {}
    }
}

/// A stream that does not exist yet.
pub fn stream() -> StreamId {
    StreamId::new(Thing::TYPE, Uuid::now_v7().to_string())
}

/// An event with nothing personal in it.
pub fn event() -> NewEvent {
    NewEvent {
        event_type: "thing.happened".into(),
        event_version: "1".into(),
        payload: Json::of(&json!({"thing.happened": {"note": "a note", "count": 3}})).unwrap(),
        metadata: BTreeMap::from([("actor".to_owned(), MetadataValue::Plain("somebody".to_owned()))]),
    }
}

/// An event with a person's name in the payload and an address in the metadata.
pub fn personal_event() -> NewEvent {
    NewEvent {
        metadata: BTreeMap::from([("source".to_owned(), MetadataValue::Personal(ADDRESS.to_owned()))]),
        ..with_payload(&json!({"thing.happened": {"people": [{"name": {"$personal": NAME}}], "note": "a note"}}))
    }
}

pub fn with_payload(payload: &Value) -> NewEvent {
    NewEvent { payload: Json::of(payload).unwrap(), ..event() }
}

/// One plain event for a stream of a tenant of its own.
pub fn to_stream(stream: &StreamId, expected: u64) -> Append {
    of_tenant(Uuid::now_v7(), stream, expected, vec![event()])
}

pub fn of_tenant(tenant_id: Uuid, stream: &StreamId, expected: u64, events: Vec<NewEvent>) -> Append {
    Append::new(Uuid::now_v7(), vec![extend(tenant_id, stream, expected, events)])
}

pub fn extend(tenant_id: Uuid, stream: &StreamId, expected: u64, events: Vec<NewEvent>) -> StreamAppend {
    StreamAppend { stream: stream.clone(), tenant_id, expected, events }
}

/// One event for a new stream, and nothing else.
pub fn anything() -> Append {
    to_stream(&stream(), 0)
}

pub fn at(stream: &StreamId, sequence: u64) -> StreamVersion {
    StreamVersion { stream: stream.clone(), sequence }
}

pub fn claim(key: &str, owner: &str) -> Claim {
    Claim { scope: "thing.code".to_owned(), key: key.to_owned(), owner: owner.to_owned() }
}

pub fn seats(key: &str, delta: i64, max: Option<i64>) -> LimitChange {
    LimitChange { scope: "thing.seats".to_owned(), key: key.to_owned(), delta, max }
}

/// A request that this append answers, remembered for a day.
pub fn request(key: &str, append: &Append) -> IdempotencyRecord {
    let extended = &append.streams[0];
    IdempotencyRecord {
        principal: "tenant/subject".to_owned(),
        key: key.to_owned(),
        request_hash: [7; 32],
        stream: extended.stream.clone(),
        sequence: extended.expected + extended.events.len() as u64,
        status: 201,
        expires_at: chrono::DateTime::from_timestamp_micros(chrono::Utc::now().timestamp_micros()).unwrap()
            + chrono::TimeDelta::days(1),
    }
}

/// What an event's payload says before it is appended.
pub fn said(event: &NewEvent) -> Value {
    event.payload.parse().unwrap()
}

/// What a recorded event's payload says.
pub fn payload(event: &RecordedEvent) -> Value {
    event.payload.parse().unwrap()
}

/// What a recorded event's metadata say under a name.
pub fn metadata(event: &RecordedEvent, name: &str) -> String {
    event.metadata.parse::<BTreeMap<String, String>>().unwrap().remove(name).unwrap()
}
