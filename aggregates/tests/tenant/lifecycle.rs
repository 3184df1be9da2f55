//! Conditions of the lifecycle: confirmation, and times up to their borders.

use chrono::TimeDelta;
use tenure_aggregates::tenant::{Command, Error, Event, Health};
use tenure_aggregates::values::Retention;
use tenure_aggregates::{Decider, Tenant};

use super::when;
use crate::given::tenant::{
    DELETE_AFTER, REINSTATED, RETENTION_ENDS, active, confirmed_by, delete, deleted, deprovisioning, reason,
    reinstated, restore, suspended,
};
use crate::given::{at, state, value};

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

#[test]
fn a_suspension_may_have_no_reason() {
    let now = at("2026-05-01T12:00:00Z");
    let then = when(&active(), Command::Suspend { reason: None, at: now });
    assert_eq!(then, Ok(vec![Event::Suspended { reason: None, at: now }]));
}

#[test]
fn a_suspended_tenant_says_since_when_and_why() {
    let Tenant::Suspended { since, reason: why, .. } = state(&suspended()) else { panic!("suspended") };
    assert_eq!((since, why), (at("2026-05-02T08:00:00Z"), Some(reason())));
}

#[test]
fn a_restored_tenant_is_suspended_for_the_reason_of_its_restoration() {
    let now = at("2026-05-20T10:00:00Z");
    let restored = Event::Restored { reason: value("asked by support"), at: now };
    let tenant = state::<Tenant>(&[deprovisioning(), vec![restored]].concat());
    let Tenant::Suspended { since, reason, .. } = tenant else { panic!("suspended") };
    assert_eq!((since, reason), (now, Some(value("asked by support"))));
}

#[test]
fn deprovisioning_wants_the_exact_short_code() {
    let now = at("2026-05-01T12:00:00Z");
    for confirmation in ["", "acme", "ACME-CORP", "Acme-corp", " acme-corp", "acme-corp ", "acme-corp\0"] {
        for history in [active(), suspended()] {
            let then = when(&history, confirmed_by(confirmation, now));
            assert_eq!(then, Err(Error::ConfirmationMismatch), "{confirmation:?}");
        }
    }
}

#[test]
fn a_wrong_confirmation_matters_only_where_a_right_one_would_do() {
    let now = at("2026-05-10T12:00:00Z");
    for history in [deprovisioning(), deleted()] {
        let then = when(&history, confirmed_by("wrong", now));
        assert!(matches!(then, Err(Error::AlreadyDeprovisioned { .. })), "{then:?}");
    }
}

#[test]
fn the_retention_of_the_request_decides_when_the_tenant_may_be_deleted() {
    let now = at("2026-05-03T09:00:00Z");
    for (days, retention_ends_at, delete_after) in
        [(30, RETENTION_ENDS, DELETE_AFTER), (0, "2026-05-03T09:00:00Z", "2026-05-04T09:00:00Z")]
    {
        let deprovision = Command::Deprovision {
            confirm_short_code: "acme-corp".to_owned(),
            reason: None,
            retention: Retention::from_days(days).expect("in range"),
            at: now,
        };
        let (retention_ends_at, delete_after) = (at(retention_ends_at), at(delete_after));
        assert_eq!(
            when(&active(), deprovision),
            Ok(vec![Event::Deprovisioned { reason: None, retention_ends_at, delete_after, at: now }])
        );
    }
}

#[test]
fn restoring_is_possible_up_to_the_last_moment_of_the_retention() {
    let ends = at(RETENTION_ENDS);
    assert!(when(&deprovisioning(), restore(ends - MICROSECOND)).is_ok());
    assert!(when(&deprovisioning(), restore(ends)).is_ok());
    let over = Err(Error::RetentionOver { retention_ends_at: ends });
    assert_eq!(when(&deprovisioning(), restore(ends + MICROSECOND)), over);
}

#[test]
fn deleting_is_possible_from_day_31_on_and_never_early() {
    let due = at(DELETE_AFTER);
    let early = Err(Error::RetentionRunning { delete_after: due });
    assert_eq!(when(&deprovisioning(), delete(due - MICROSECOND)), early);
    assert!(when(&deprovisioning(), delete(due)).is_ok());
    assert!(when(&deprovisioning(), delete(due + TimeDelta::days(400))).is_ok());
}

#[test]
fn between_retention_and_deletion_nothing_can_be_done() {
    let between = at("2026-06-02T21:00:00Z");
    assert!(when(&deprovisioning(), restore(between)).is_err());
    assert!(when(&deprovisioning(), delete(between)).is_err());
}

#[test]
fn a_tenant_deprovisioned_again_after_its_restoration_gets_a_new_retention() {
    let restored = Event::Restored { reason: value("asked by support"), at: at("2026-05-20T10:00:00Z") };
    let history = [deprovisioning(), vec![restored]].concat();
    let now = at("2026-05-21T00:00:00Z");
    let then = when(&history, confirmed_by("acme-corp", now)).expect("a suspended tenant can be deprovisioned");
    let tenant = then.iter().try_fold(state::<Tenant>(&history), Decider::evolve).expect("possible");
    let Tenant::Deprovisioning { delete_after, .. } = tenant else { panic!("deprovisioning") };
    assert_eq!(delete_after, at("2026-06-21T00:00:00Z"));
}

#[test]
fn health_follows_stage_and_the_minute_after_reinstatement() {
    let reinstated_at = at(REINSTATED);
    let health = |history: &[Event], now| state::<Tenant>(history).health(now);

    assert_eq!(health(&active(), reinstated_at), Health::Healthy);
    assert_eq!(health(&suspended(), reinstated_at), Health::Disconnected);
    assert_eq!(health(&reinstated(), reinstated_at), Health::Reconnecting);
    let minute_later = reinstated_at + TimeDelta::seconds(60);
    assert_eq!(health(&reinstated(), minute_later - MICROSECOND), Health::Reconnecting);
    assert_eq!(health(&reinstated(), minute_later), Health::Healthy);
    for history in [vec![], deprovisioning(), deleted()] {
        assert_eq!(health(&history, minute_later), Health::Disconnected);
    }
}

#[test]
fn an_update_does_not_end_the_reconnection() {
    let [_, updated, ..] = crate::given::tenant::every_event();
    let tenant = state::<Tenant>(&[reinstated(), vec![updated]].concat());
    assert_eq!(tenant.health(at(REINSTATED)), Health::Reconnecting);
}
