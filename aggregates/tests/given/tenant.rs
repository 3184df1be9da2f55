//! One customer's life: provisioned in April, suspended and deprovisioned in May, deleted in June.

use chrono::{DateTime, Utc};
use tenure_aggregates::tenant::{Changes, Command, Event, MonthlyUsage, NewAccount};
use tenure_aggregates::values::{EmailAddress, Modules, Reason, ResourceLimit, Retention, SeatLimit, SubjectId};
use tenure_aggregates::{Personal, TenantKind};

use super::{at, msp_id, tenant_id, value};

pub const PROVISIONED: &str = "2026-04-07T14:30:00Z";
pub const SUSPENDED: &str = "2026-05-02T08:00:00Z";
pub const REINSTATED: &str = "2026-05-02T09:00:00Z";
pub const DEPROVISIONED: &str = "2026-05-03T09:00:00Z";
pub const RETENTION_ENDS: &str = "2026-06-02T09:00:00Z";
pub const DELETE_AFTER: &str = "2026-06-03T09:00:00Z";
pub const DELETED: &str = "2026-06-03T09:05:00Z";

pub fn account() -> NewAccount {
    NewAccount {
        tenant_id: tenant_id(),
        kind: TenantKind::Customer { msp: msp_id() },
        short_code: value("acme-corp"),
        display_name: value("Acme Corporation"),
        contact_email: email("it@acmecorp.com"),
        max_users: SeatLimit::DEFAULT,
        max_resources: ResourceLimit::DEFAULT,
        modules: modules(&["ad", "ssh"]),
    }
}

pub fn email(text: &str) -> Personal<EmailAddress> {
    Personal::Known(value(text))
}

pub fn modules(names: &[&str]) -> Modules {
    let names: Vec<_> = names.iter().map(|name| value(name)).collect();
    Modules::try_from(names).expect("the tests' modules are few")
}

pub fn reason() -> Reason {
    value("contract ended")
}

pub fn renamed() -> Changes {
    Changes { display_name: Some(value("Acme Limited")), ..Changes::default() }
}

pub fn month(period: &str) -> MonthlyUsage {
    MonthlyUsage { period: value(period), user_count: 47, resource_count: 83, grant_count: 12 }
}

// Histories, one for each stage.

pub fn active() -> Vec<Event> {
    vec![Event::Provisioned { account: account(), at: at(PROVISIONED) }]
}

pub fn active_msp() -> Vec<Event> {
    vec![Event::Provisioned { account: NewAccount { kind: TenantKind::Msp, ..account() }, at: at(PROVISIONED) }]
}

pub fn suspended() -> Vec<Event> {
    [active(), vec![Event::Suspended { reason: Some(reason()), at: at(SUSPENDED) }]].concat()
}

pub fn reinstated() -> Vec<Event> {
    [suspended(), vec![Event::Reinstated { at: at(REINSTATED) }]].concat()
}

/// After its MSP let it go.
pub fn independent() -> Vec<Event> {
    [active(), vec![unlinked(at("2026-04-20T09:00:00Z"))]].concat()
}

pub fn deprovisioning() -> Vec<Event> {
    [active(), vec![deprovisioned(at(DEPROVISIONED))]].concat()
}

pub fn deleted() -> Vec<Event> {
    [deprovisioning(), vec![Event::Deleted { released_short_code: None, at: at(DELETED) }]].concat()
}

/// What deprovisioning with the default retention gives.
pub fn deprovisioned(at: DateTime<Utc>) -> Event {
    Event::Deprovisioned {
        reason: Some(reason()),
        retention_ends_at: at + chrono::TimeDelta::days(30),
        delete_after: at + chrono::TimeDelta::days(31),
        at,
    }
}

pub fn owner() -> SubjectId {
    value("~3q2-7w")
}

pub fn unlinked(at: DateTime<Utc>) -> Event {
    let owner = Personal::Known(value("google-oauth2|ada@acmecorp.com"));
    Event::Unlinked { msp: msp_id(), owner, owner_id: self::owner(), at }
}

// Commands, each with the fields that every stage could accept.

pub fn provision(at: DateTime<Utc>) -> Command {
    Command::Provision { account: account(), at }
}

pub fn update(at: DateTime<Utc>) -> Command {
    Command::Update { changes: renamed(), at }
}

pub fn suspend(at: DateTime<Utc>) -> Command {
    Command::Suspend { reason: Some(reason()), at }
}

pub fn reinstate(at: DateTime<Utc>) -> Command {
    Command::Reinstate { at }
}

pub fn deprovision(at: DateTime<Utc>) -> Command {
    confirmed_by("acme-corp", at)
}

pub fn confirmed_by(confirm_short_code: &str, at: DateTime<Utc>) -> Command {
    let confirm_short_code = confirm_short_code.to_owned();
    Command::Deprovision { confirm_short_code, reason: Some(reason()), retention: Retention::DEFAULT, at }
}

pub fn restore(at: DateTime<Utc>) -> Command {
    Command::Restore { reason: value("asked by support"), at }
}

pub fn delete(at: DateTime<Utc>) -> Command {
    Command::Delete { release_short_code: false, at }
}

pub fn report_usage(at: DateTime<Utc>) -> Command {
    Command::ReportUsage { resources: 83, grants: 12, at }
}

pub fn record_month(period: &str, at: DateTime<Utc>) -> Command {
    Command::RecordMonthlyUsage { usage: month(period), at }
}

pub fn prove_domain(at: DateTime<Utc>) -> Command {
    Command::ProveDomain { domain: value("tenant.com"), at }
}

pub fn join(at: DateTime<Utc>) -> Command {
    Command::Join { msp: msp_id(), by: owner(), contact_email: email("ops@msp.example"), at }
}

pub fn leave(at: DateTime<Utc>) -> Command {
    let owner = Personal::Known(value("google-oauth2|ada@acmecorp.com"));
    Command::Leave { msp: msp_id(), owner, owner_id: self::owner(), at }
}

/// Every event, with fields that fit the life above.
pub fn every_event() -> [Event; 12] {
    [
        Event::Provisioned { account: account(), at: at(PROVISIONED) },
        Event::Updated {
            changes: Changes {
                display_name: Some(value("Acme Limited")),
                contact_email: Some(email("it@acme.example")),
                max_users: Some(SeatLimit::new(50).expect("in range")),
                max_resources: Some(ResourceLimit::new(20).expect("in range")),
                modules: Some(modules(&["ssh", "vault"])),
            },
            at: at("2026-04-09T10:00:00Z"),
        },
        Event::Suspended { reason: Some(reason()), at: at(SUSPENDED) },
        Event::Reinstated { at: at(REINSTATED) },
        deprovisioned(at(DEPROVISIONED)),
        Event::Restored { reason: value("asked by support"), at: at("2026-05-10T10:00:00Z") },
        Event::Deleted { released_short_code: Some(value("acme-corp")), at: at(DELETED) },
        Event::UsageReported { resources: 83, grants: 12, at: at("2026-04-07T16:45:00Z") },
        Event::UsageMonthly { usage: month("2026-04"), at: at("2026-05-01T00:00:07Z") },
        Event::DomainProven { domain: value("tenant.com"), at: at("2026-04-08T09:00:00Z") },
        Event::Joined { msp: msp_id(), former_owner: owner(), contact_email: None, at: at("2026-04-21T09:00:00Z") },
        unlinked(at("2026-04-20T09:00:00Z")),
    ]
}
