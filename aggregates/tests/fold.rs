//! From stored history to a state, and every way in which history can be corrupt.

use cqrs_es::persist::SerializedEvent;
use serde_json::json;
use tenure_aggregates::fold::Corruption;
use tenure_aggregates::tenant::{Command, Error, Stage};
use tenure_aggregates::{CorruptHistory, Decider, Folded, Impossible, Personal, Refusal, Tenant, fold, fold_on};

use crate::given::tenant::{active, deleted, deprovisioning, every_event, provision, reinstate, suspended};
use crate::given::{at, state, stored, tenant_id};

mod upcasting;

fn history() -> Vec<SerializedEvent> {
    stored::<Tenant>(&id(), &suspended())
}

fn id() -> String {
    tenant_id().to_string()
}

fn corrupt(events: Vec<SerializedEvent>) -> CorruptHistory {
    fold::<Tenant>(&id(), events).expect_err("the history is corrupt")
}

#[test]
fn no_event_is_the_beginning() {
    let folded = fold::<Tenant>(&id(), vec![]).expect("nothing to be wrong");
    assert_eq!(folded, Folded { state: Tenant::Unprovisioned, sequence: 0 });
}

#[test]
fn a_history_folds_to_the_state_and_sequence_that_it_led_to() {
    let folded = fold::<Tenant>(&id(), history()).expect("a sound history");
    assert_eq!(folded, Folded { state: state(&suspended()), sequence: 2 });
}

#[test]
fn what_followed_a_state_folds_onto_it_and_nothing_else_does() {
    let whole = fold::<Tenant>(&id(), history()).expect("a sound history");
    let first = fold::<Tenant>(&id(), history()[..1].to_vec()).expect("a sound history");
    assert_eq!(fold_on(first.clone(), &id(), history()[1..].to_vec()).expect("a sound history"), whole);
    assert_eq!(fold_on(whole.clone(), &id(), vec![]).expect("nothing to be wrong"), whole);
    let CorruptHistory { sequence, cause, .. } =
        fold_on(first, &id(), history()).expect_err("the first event happened already");
    assert!(matches!((sequence, cause), (2, Corruption::Gap { expected: 2 })));
}

#[test]
fn a_sealed_history_folds_as_well_without_its_personal_values() {
    let mut events = history();
    events[0].payload["tenant.provisioned"]["contact_email"] = json!({ "$sealed": "..." });
    let folded = fold::<Tenant>(&id(), events).expect("a sound history");
    assert_eq!(folded.state.stage(), Stage::Suspended);
    assert_eq!(folded.state.account().map(|account| &account.contact_email), Some(&Personal::Sealed));
}

#[test]
fn an_impossible_event_stops_the_fold_and_is_named_with_its_stream_and_sequence() {
    let [_, _, suspended, ..] = every_event();
    let CorruptHistory { stream, sequence, cause } =
        corrupt(stored::<Tenant>(&id(), &[deleted(), vec![suspended]].concat()));
    assert_eq!((stream, sequence), (format!("tenant/{}", tenant_id()), 4));
    let Corruption::Impossible(impossible) = cause else { panic!("{cause:?}") };
    assert_eq!(impossible, Impossible { aggregate: "tenant", stage: "deleted", event: "tenant.suspended" });
}

#[test]
fn a_gap_or_a_repetition_stops_the_fold() {
    let mut gap = history();
    gap[1].sequence = 3;
    assert!(matches!(corrupt(gap), CorruptHistory { sequence: 2, cause: Corruption::Gap { expected: 2 }, .. }));

    let mut late = history();
    late.remove(0);
    assert!(matches!(corrupt(late), CorruptHistory { sequence: 1, cause: Corruption::Gap { expected: 1 }, .. }));
}

#[test]
fn an_event_of_another_stream_stops_the_fold() {
    let mut other_id = history();
    other_id[1].aggregate_id = "another".to_owned();
    let mut other_type = history();
    other_type[1].aggregate_type = "administrator".to_owned();
    for events in [other_id, other_type] {
        assert!(matches!(corrupt(events), CorruptHistory { sequence: 2, cause: Corruption::ForeignStream { .. }, .. }));
    }
}

#[test]
fn an_unknown_or_damaged_payload_stops_the_fold() {
    let payloads = [
        json!(null),
        json!({}),
        json!({ "tenant.promoted": { "at": "2026-05-02T08:00:00Z" } }),
        json!({ "tenant.suspended": {} }),
        json!({ "tenant.suspended": { "reason": "two\nlines", "at": "2026-05-02T08:00:00Z" } }),
    ];
    for payload in payloads {
        let mut events = history();
        events[1].payload = payload;
        assert!(matches!(corrupt(events), CorruptHistory { sequence: 2, cause: Corruption::Unreadable(_), .. }));
    }
}

#[test]
fn a_payload_under_a_wrong_name_or_version_stops_the_fold() {
    let mut name = history();
    name[1].event_type = "tenant.reinstated".to_owned();
    let mut newer = history();
    newer[1].event_version = "2".to_owned();
    for events in [name, newer] {
        assert!(matches!(corrupt(events), CorruptHistory { sequence: 2, cause: Corruption::Mislabelled { .. }, .. }));
    }
}

#[test]
fn a_decision_gathers_all_that_a_command_changes() {
    let now = at("2026-04-07T14:30:00Z");
    let decision = Folded::<Tenant>::default().decide(provision(now)).expect("allowed");
    assert_eq!(decision.events, active());
    assert_eq!(decision.claims, Tenant::Unprovisioned.claims(&decision.events[0]));
    assert_eq!(decision.limits, []);
    assert_eq!(decision.after, Folded { state: state(&active()), sequence: 1 });
}

#[test]
fn a_decision_for_nothing_leaves_the_sequence() {
    let folded = fold::<Tenant>(&id(), history()).expect("a sound history");
    let update =
        Command::Update { changes: tenure_aggregates::tenant::Changes::default(), at: at("2026-05-02T08:00:00Z") };
    let decision = folded.decide(update).expect("allowed");
    assert_eq!((decision.events, decision.after), (vec![], folded));
}

#[test]
fn a_refused_decision_is_the_rule_that_refuses() {
    let folded = fold::<Tenant>(&id(), stored::<Tenant>(&id(), &deprovisioning())).expect("a sound history");
    let refusal = folded.decide(reinstate(at("2026-05-10T08:00:00Z"))).expect_err("not suspended");
    assert_eq!(refusal, Refusal::Rule(Error::NotSuspended { stage: Stage::Deprovisioning }));
    assert_eq!(refusal.to_string(), "the tenant is not suspended but deprovisioning");
}
