//! The aggregates behind cqrs-es.

use cqrs_es::Aggregate;
use cqrs_es::test::TestFramework;
use tenure_aggregates::tenant::{Error, Event, Stage};
use tenure_aggregates::{Administrator, Impossible, Refusal, Replay, Tenant};

use crate::given::tenant::{active, reason, reinstate, suspend, suspended};
use crate::given::{at, state};

const NOW: &str = "2026-05-02T12:00:00Z";

#[test]
fn handle_writes_what_is_decided() {
    TestFramework::<Replay<Tenant>>::with(())
        .given(active())
        .when(suspend(at(NOW)))
        .then_expect_events(vec![Event::Suspended { reason: Some(reason()), at: at(NOW) }]);
}

#[test]
fn handle_passes_a_refusal_on() {
    TestFramework::<Replay<Tenant>>::with(())
        .given(active())
        .when(reinstate(at(NOW)))
        .then_expect_error(Refusal::Rule(Error::NotSuspended { stage: Stage::Active }));
}

#[test]
fn apply_evolves_the_state() {
    let mut replay = Replay::<Tenant>::default();
    for event in suspended() {
        replay.apply(event);
    }
    assert_eq!(replay, Replay::Sound(state(&suspended())));
}

#[test]
fn after_an_impossible_event_every_command_is_refused() {
    let twice = [active(), active(), suspended()].concat();
    let impossible = Impossible { aggregate: "tenant", stage: "active", event: "tenant.provisioned" };
    TestFramework::<Replay<Tenant>>::with(())
        .given(twice)
        .when(suspend(at(NOW)))
        .then_expect_error(Refusal::Impossible(impossible));
}

#[test]
fn streams_keep_the_aggregates_names() {
    assert_eq!(<Replay<Tenant> as Aggregate>::TYPE, "tenant");
    assert_eq!(<Replay<Administrator> as Aggregate>::TYPE, "administrator");
}

#[test]
fn a_snapshot_is_refused() {
    assert!(serde_json::to_value(Replay::Sound(state::<Tenant>(&active()))).is_err());
    assert!(serde_json::from_str::<Replay<Tenant>>("{}").is_err());
}
