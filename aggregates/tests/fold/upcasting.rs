//! How an old shape is read. No event of Tenure's has changed its shape yet, so the mechanism is shown on a lamp whose
//! one event has had three: its state as a word, then as a flag, now as a brightness in per cent.

use cqrs_es::DomainEvent;
use cqrs_es::persist::SerializedEvent;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_aggregates::fold::Corruption;
use tenure_aggregates::{ClaimChange, Decider, Impossible, LimitChange, Upcaster, decode, decode_text, fold};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Lamp {
    percent: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Event {
    #[serde(rename = "lamp.switched")]
    Switched { percent: u8 },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        "lamp.switched".to_owned()
    }

    fn event_version(&self) -> String {
        "3".to_owned()
    }
}

impl Decider for Lamp {
    const TYPE: &'static str = "lamp";
    const UPCASTERS: &'static [Upcaster] = &[
        Upcaster { event_type: "lamp.switched", from: "1", to: "2", reshape: word_to_flag },
        Upcaster { event_type: "lamp.switched", from: "2", to: "3", reshape: flag_to_percent },
    ];

    type Command = u8;
    type Event = Event;
    type Error = Impossible;

    fn decide(&self, percent: u8) -> Result<Vec<Event>, Impossible> {
        Ok(vec![Event::Switched { percent }])
    }

    fn evolve(self, Event::Switched { percent }: &Event) -> Result<Self, Impossible> {
        Ok(Self { percent: *percent })
    }

    fn claims(&self, _: &Event) -> Vec<ClaimChange> {
        Vec::new()
    }

    fn limits(&self, _: &Event) -> Vec<LimitChange> {
        Vec::new()
    }
}

fn word_to_flag(mut payload: Value) -> Value {
    let word = payload["lamp.switched"]["state"].take();
    json!({ "lamp.switched": { "on": word == "on" } })
}

fn flag_to_percent(mut payload: Value) -> Value {
    let on = payload["lamp.switched"]["on"].take();
    json!({ "lamp.switched": { "percent": if on == true { 100 } else { 0 } } })
}

fn archived(version: &str) -> Value {
    let fixture = match version {
        "1" => include_str!("../fixtures/lamp.switched.v1.json"),
        _ => include_str!("../fixtures/lamp.switched.v2.json"),
    };
    serde_json::from_str(fixture).expect("the fixture is JSON")
}

#[test]
fn every_shape_ever_written_is_read_as_the_present_one() {
    for version in ["1", "2"] {
        let event = decode::<Lamp>("lamp.switched", version, &archived(version)).expect("readable");
        assert_eq!(event, Event::Switched { percent: 100 });
        let text = archived(version).to_string();
        assert_eq!(decode_text::<Lamp>("lamp.switched", version, &text).expect("readable"), event);
    }
}

#[test]
fn a_history_of_several_shapes_folds() {
    let stored = |(index, (version, payload)): (usize, (&str, Value))| {
        let (lamp, name) = ("lamp".to_owned(), "lamp.switched".to_owned());
        SerializedEvent::new("desk".to_owned(), index + 1, lamp, name, version.to_owned(), payload, json!({}))
    };
    let dimmed = json!({ "lamp.switched": { "percent": 40 } });
    let events = [("1", archived("1")), ("2", archived("2")), ("3", dimmed)].into_iter().enumerate().map(stored);
    assert_eq!(fold::<Lamp>("desk", events.collect()).expect("readable").state, Lamp { percent: 40 });
}

#[test]
fn an_old_payload_under_a_new_version_is_not_read() {
    let misread = decode::<Lamp>("lamp.switched", "3", &archived("1"));
    assert!(matches!(misread, Err(Corruption::Unreadable(_))));
    let misread = decode_text::<Lamp>("lamp.switched", "3", &archived("1").to_string());
    assert!(matches!(misread, Err(Corruption::Unreadable(_))));
}
