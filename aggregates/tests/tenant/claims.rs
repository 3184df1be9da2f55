//! What a tenant's events change outside the stream.

use tenure_aggregates::tenant::{Event, SEAT_LIMIT, SHORT_CODE_CLAIM};
use tenure_aggregates::{ClaimChange, ClaimKey, Decider, LimitChange, Tenant};

use crate::given::tenant::{active, deprovisioning, every_event};
use crate::given::{at, state, tenant_id};

fn short_code() -> ClaimKey {
    ClaimKey::Plain("acme-corp".to_owned())
}

#[test]
fn provisioning_takes_the_short_code() {
    let [provisioned] = &active()[..] else { panic!("one event") };
    let claims = Tenant::default().claims(provisioned);
    assert_eq!(claims, [ClaimChange::Take { scope: SHORT_CODE_CLAIM, key: short_code() }]);
}

#[test]
fn deletion_keeps_the_short_code_unless_asked_to_release_it() {
    let tenant = state::<Tenant>(&deprovisioning());
    let now = at("2026-06-03T09:00:00Z");
    let claims = |release_short_code| {
        let events = tenant.decide(tenure_aggregates::tenant::Command::Delete { release_short_code, at: now });
        events.expect("due").iter().flat_map(|event| tenant.claims(event)).collect::<Vec<_>>()
    };
    assert_eq!(claims(false), []);
    assert_eq!(claims(true), [ClaimChange::Release { scope: SHORT_CODE_CLAIM, key: short_code() }]);
}

#[test]
fn another_seat_limit_is_checked_against_the_seats_taken() {
    let [_, updated, ..] = every_event();
    let limits = state::<Tenant>(&active()).limits(&updated);
    assert_eq!(limits, [LimitChange { scope: SEAT_LIMIT, key: tenant_id().to_string(), delta: 0, max: Some(50) }]);
}

#[test]
fn no_other_event_claims_or_counts_anything() {
    let tenant = state::<Tenant>(&active());
    for event in every_event() {
        let claims = matches!(event, Event::Provisioned { .. } | Event::Deleted { .. } | Event::DomainProven { .. });
        assert_eq!(!tenant.claims(&event).is_empty(), claims, "{}", event.name());
        let counts = matches!(event, Event::Updated { .. });
        assert_eq!(!tenant.limits(&event).is_empty(), counts, "{}", event.name());
    }
}
