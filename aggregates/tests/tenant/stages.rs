//! Every command in every stage: one table for each stage. Conditions within a stage have tests of their own.

use std::collections::HashSet;
use std::mem::discriminant;

use tenure_aggregates::tenant::{Command, Error, Event, Stage};

use super::when;
use crate::given::tenant::{
    account, active, active_msp, delete, deleted, deprovision, deprovisioned, deprovisioning, join, leave, month,
    prove_domain, provision, reason, record_month, reinstate, renamed, report_usage, restore, suspend, suspended,
    unlinked, update,
};
use crate::given::{at, value};

type Rule = (Command, Result<Vec<Event>, Error>);

/// Checks one stage's table; twelve commands, each once.
fn assert_rules(history: &[Event], rules: [Rule; 12]) {
    let commands: HashSet<_> = rules.iter().map(|(command, _)| discriminant(command)).collect();
    assert_eq!(commands.len(), rules.len(), "a command stands in the table twice");
    for (command, then) in rules {
        assert_eq!(when(history, command.clone()), then, "{command:?}");
    }
}

#[test]
fn a_tenant_that_is_not_there_can_only_be_provisioned() {
    let now = at("2026-04-07T14:30:00Z");
    assert_rules(
        &[],
        [
            (provision(now), Ok(vec![Event::Provisioned { account: account(), at: now }])),
            (update(now), Err(Error::NotProvisioned)),
            (suspend(now), Err(Error::NotProvisioned)),
            (reinstate(now), Err(Error::NotProvisioned)),
            (deprovision(now), Err(Error::NotProvisioned)),
            (restore(now), Err(Error::NotProvisioned)),
            (delete(now), Err(Error::NotProvisioned)),
            (report_usage(now), Err(Error::NotProvisioned)),
            (record_month("2026-03", now), Err(Error::NotProvisioned)),
            (prove_domain(now), Err(Error::NotProvisioned)),
            (join(now), Err(Error::NotProvisioned)),
            (leave(now), Err(Error::NotProvisioned)),
        ],
    );
}

#[test]
fn an_active_tenant_is_changed_suspended_deprovisioned_and_billed() {
    let now = at("2026-05-01T12:00:00Z");
    let stage = Stage::Active;
    assert_rules(
        &active(),
        [
            (provision(now), Err(Error::AlreadyProvisioned { stage })),
            (update(now), Ok(vec![Event::Updated { changes: renamed(), at: now }])),
            (suspend(now), Ok(vec![Event::Suspended { reason: Some(reason()), at: now }])),
            (reinstate(now), Err(Error::NotSuspended { stage })),
            (deprovision(now), Ok(vec![deprovisioned(now)])),
            (restore(now), Err(Error::NotDeprovisioning { stage })),
            (delete(now), Err(Error::NotDeprovisioning { stage })),
            (report_usage(now), Ok(vec![Event::UsageReported { resources: 83, grants: 12, at: now }])),
            (record_month("2026-04", now), Ok(vec![Event::UsageMonthly { usage: month("2026-04"), at: now }])),
            (prove_domain(now), Ok(vec![Event::DomainProven { domain: value("tenant.com"), at: now }])),
            (join(now), Err(Error::NotIndependent)),
            (leave(now), Ok(vec![unlinked(now)])),
        ],
    );
}

#[test]
fn a_suspended_tenant_is_changed_reinstated_deprovisioned_and_billed() {
    let now = at("2026-05-02T12:00:00Z");
    let stage = Stage::Suspended;
    assert_rules(
        &suspended(),
        [
            (provision(now), Err(Error::AlreadyProvisioned { stage })),
            (update(now), Ok(vec![Event::Updated { changes: renamed(), at: now }])),
            (suspend(now), Err(Error::NotActive { stage })),
            (reinstate(now), Ok(vec![Event::Reinstated { at: now }])),
            (deprovision(now), Ok(vec![deprovisioned(now)])),
            (restore(now), Err(Error::NotDeprovisioning { stage })),
            (delete(now), Err(Error::NotDeprovisioning { stage })),
            (report_usage(now), Err(Error::NotActive { stage })),
            (record_month("2026-04", now), Ok(vec![Event::UsageMonthly { usage: month("2026-04"), at: now }])),
            (prove_domain(now), Ok(vec![Event::DomainProven { domain: value("tenant.com"), at: now }])),
            (join(now), Err(Error::NotActive { stage })),
            (leave(now), Err(Error::NotActive { stage })),
        ],
    );
}

#[test]
fn a_tenant_in_retention_is_restored_or_deleted_and_billed() {
    let now = at("2026-06-02T09:00:00Z");
    let stage = Stage::Deprovisioning;
    assert_rules(
        &deprovisioning(),
        [
            (provision(now), Err(Error::AlreadyProvisioned { stage })),
            (update(now), Err(Error::NotUpdatable { stage })),
            (suspend(now), Err(Error::NotActive { stage })),
            (reinstate(now), Err(Error::NotSuspended { stage })),
            (deprovision(now), Err(Error::AlreadyDeprovisioned { stage })),
            (restore(now), Ok(vec![Event::Restored { reason: value("asked by support"), at: now }])),
            (delete(now), Err(Error::RetentionRunning { delete_after: at("2026-06-03T09:00:00Z") })),
            (report_usage(now), Err(Error::NotActive { stage })),
            (record_month("2026-04", now), Ok(vec![Event::UsageMonthly { usage: month("2026-04"), at: now }])),
            (prove_domain(now), Err(Error::NotUpdatable { stage })),
            (join(now), Err(Error::NotActive { stage })),
            (leave(now), Err(Error::NotActive { stage })),
        ],
    );
}

#[test]
fn a_tenant_past_its_retention_is_deleted_and_not_restored() {
    let now = at("2026-06-03T09:00:00Z");
    assert_eq!(when(&deprovisioning(), delete(now)), Ok(vec![Event::Deleted { released_short_code: None, at: now }]));
    assert_eq!(
        when(&deprovisioning(), restore(now)),
        Err(Error::RetentionOver { retention_ends_at: at("2026-06-02T09:00:00Z") })
    );
}

#[test]
fn a_deleted_tenant_is_billed_for_its_last_months_and_nothing_else() {
    let now = at("2026-07-01T00:00:00Z");
    let stage = Stage::Deleted;
    assert_rules(
        &deleted(),
        [
            (provision(now), Err(Error::AlreadyProvisioned { stage })),
            (update(now), Err(Error::NotUpdatable { stage })),
            (suspend(now), Err(Error::NotActive { stage })),
            (reinstate(now), Err(Error::NotSuspended { stage })),
            (deprovision(now), Err(Error::AlreadyDeprovisioned { stage })),
            (restore(now), Err(Error::NotDeprovisioning { stage })),
            (delete(now), Err(Error::NotDeprovisioning { stage })),
            (report_usage(now), Err(Error::NotActive { stage })),
            (record_month("2026-04", now), Ok(vec![Event::UsageMonthly { usage: month("2026-04"), at: now }])),
            (prove_domain(now), Err(Error::NotUpdatable { stage })),
            (join(now), Err(Error::NotActive { stage })),
            (leave(now), Err(Error::NotActive { stage })),
        ],
    );
}

#[test]
fn an_msp_lives_like_a_customer_but_is_never_deprovisioned() {
    let now = at("2026-05-01T12:00:00Z");
    assert_eq!(when(&active_msp(), suspend(now)), Ok(vec![Event::Suspended { reason: Some(reason()), at: now }]));
    assert_eq!(when(&active_msp(), update(now)), Ok(vec![Event::Updated { changes: renamed(), at: now }]));
    assert_eq!(when(&active_msp(), deprovision(now)), Err(Error::MspNotDeprovisionable));

    let suspended = [active_msp(), vec![Event::Suspended { reason: None, at: now }]].concat();
    assert_eq!(when(&suspended, reinstate(now)), Ok(vec![Event::Reinstated { at: now }]));
    assert_eq!(when(&suspended, deprovision(now)), Err(Error::MspNotDeprovisionable));
}
