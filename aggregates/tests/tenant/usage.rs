//! Usage: reports, and one bill for every month of a tenant's life.

use chrono::TimeDelta;
use tenure_aggregates::Tenant;
use tenure_aggregates::tenant::{BILLING_EVENTS, Error, Event};

use super::when;
use crate::given::tenant::{active, deleted, deprovisioning, every_event, month, record_month, report_usage};
use crate::given::{at, state, value};

/// A history in which the months up to `last` are billed.
fn billed(history: Vec<Event>, months: &[&str]) -> Vec<Event> {
    let bill = |period: &&str| Event::UsageMonthly { usage: month(period), at: month(period).period.ends_at() };
    history.into_iter().chain(months.iter().map(bill)).collect()
}

#[test]
fn unchanged_counts_are_no_event() {
    let now = at("2026-04-20T10:00:00Z");
    let reported = Event::UsageReported { resources: 83, grants: 12, at: now };
    assert_eq!(when(&[active(), vec![reported]].concat(), report_usage(now)), Ok(vec![]));
}

#[test]
fn a_report_is_taken_over_even_above_the_limit() {
    let now = at("2026-04-20T10:00:00Z");
    let reported = Event::UsageReported { resources: u32::MAX, grants: u32::MAX, at: now };
    let tenant = state::<Tenant>(&[active(), vec![reported]].concat());
    let usage = tenant.account().expect("provisioned").usage;
    assert_eq!((usage.resources, usage.grants), (u32::MAX, u32::MAX));
}

#[test]
fn the_month_of_provisioning_is_billed_first() {
    let now = at("2026-07-15T00:00:00Z");
    let expected = value("2026-04");
    for period in ["2025-04", "2026-03", "2026-05", "2026-06"] {
        let refused = Error::PeriodOutOfOrder { period: value(period), expected };
        assert_eq!(when(&active(), record_month(period, now)), Err(refused));
    }
    assert!(when(&active(), record_month("2026-04", now)).is_ok());
}

#[test]
fn a_month_is_billed_once_and_in_order() {
    let now = at("2026-07-15T00:00:00Z");
    let history = billed(active(), &["2026-04", "2026-05"]);
    for period in ["2026-04", "2026-05"] {
        let refused = Error::UsageAlreadyRecorded { period: value(period) };
        assert_eq!(when(&history, record_month(period, now)), Err(refused));
    }
    assert!(when(&history, record_month("2026-06", now)).is_ok());
}

#[test]
fn a_month_is_billed_from_the_first_moment_of_the_next() {
    let over = at("2026-05-01T00:00:00Z");
    let early = Error::PeriodNotOver { period: value("2026-04"), ends_at: over };
    assert_eq!(when(&active(), record_month("2026-04", over - TimeDelta::microseconds(1))), Err(early));
    assert!(when(&active(), record_month("2026-04", over)).is_ok());
}

#[test]
fn a_deleted_tenant_is_billed_up_to_the_month_of_its_deletion() {
    let now = at("2026-09-01T00:00:00Z");
    let history = billed(deleted(), &["2026-04", "2026-05"]);
    assert_eq!(state::<Tenant>(&history).next_usage_period(), Some(value("2026-06")));
    assert!(when(&history, record_month("2026-06", now)).is_ok());

    let history = billed(history, &["2026-06"]);
    assert_eq!(state::<Tenant>(&history).next_usage_period(), None);
    let gone = Error::PeriodAfterDeletion { period: value("2026-07"), deleted_at: at("2026-06-03T09:05:00Z") };
    assert_eq!(when(&history, record_month("2026-07", now)), Err(gone));
}

#[test]
fn the_month_to_bill_next_is_known_in_every_stage() {
    assert_eq!(state::<Tenant>(&[]).next_usage_period(), None);
    assert_eq!(state::<Tenant>(&active()).next_usage_period(), Some(value("2026-04")));
    let history = billed(deprovisioning(), &["2026-04"]);
    assert_eq!(state::<Tenant>(&history).next_usage_period(), Some(value("2026-05")));
}

#[test]
fn a_bill_is_made_from_the_billing_events_only() {
    let billing: Vec<_> = every_event().iter().filter(|event| event.is_billing()).map(Event::name).collect();
    let (others, tenants): (Vec<_>, Vec<_>) = BILLING_EVENTS.iter().partition(|name| name.contains("subscription"));
    assert_eq!((billing, others), (tenants, vec!["tenant.subscription.changed"]));
}

#[test]
fn a_months_usage_occurred_in_its_last_second_and_everything_else_when_it_did() {
    for event in every_event() {
        let expected = match &event {
            Event::UsageMonthly { .. } => at("2026-04-30T23:59:59Z"),
            other => other.at(),
        };
        assert_eq!(event.occurred_at(), expected);
    }
}
