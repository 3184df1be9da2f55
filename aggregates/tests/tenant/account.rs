//! Account fields: what an update changes, and what it may not.

use tenure_aggregates::tenant::{Changes, Command, Error, Event};
use tenure_aggregates::values::{ResourceLimit, SeatLimit};
use tenure_aggregates::{Personal, Tenant};

use super::when;
use crate::given::tenant::{account, active, email, every_event, modules};
use crate::given::{at, state, value};

const NOW: &str = "2026-04-20T10:00:00Z";

fn update(changes: Changes) -> Command {
    Command::Update { changes, at: at(NOW) }
}

fn resources(limit: i64) -> ResourceLimit {
    ResourceLimit::new(limit).expect("in range")
}

/// The same values as provisioned.
fn no_difference() -> Changes {
    let account = account();
    Changes {
        display_name: Some(account.display_name),
        contact_email: Some(account.contact_email),
        max_users: Some(account.max_users),
        max_resources: Some(account.max_resources),
        modules: Some(account.modules),
    }
}

#[test]
fn an_update_without_a_difference_changes_nothing() {
    assert_eq!(when(&active(), update(Changes::default())), Ok(vec![]));
    assert_eq!(when(&active(), update(no_difference())), Ok(vec![]));
}

#[test]
fn an_update_records_only_what_differs() {
    let changes = Changes { modules: Some(modules(&["ssh"])), ..no_difference() };
    let recorded = Changes { modules: Some(modules(&["ssh"])), ..Changes::default() };
    assert_eq!(when(&active(), update(changes)), Ok(vec![Event::Updated { changes: recorded, at: at(NOW) }]));
}

#[test]
fn an_updated_tenant_has_the_new_values_and_keeps_the_others() {
    let changes = Changes {
        display_name: Some(value("Acme Limited")),
        contact_email: Some(email("it@acme.example")),
        max_users: SeatLimit::new(50).ok(),
        max_resources: Some(resources(20)),
        modules: Some(modules(&["ssh", "vault"])),
    };
    let before = state::<Tenant>(&active()).account().expect("provisioned").clone();
    let [_, updated, ..] = every_event();
    let after = state::<Tenant>(&[active(), vec![updated]].concat()).account().expect("provisioned").clone();
    let Changes { display_name, contact_email, max_users, max_resources, modules } = changes;
    assert_eq!(Some(&after.display_name), display_name.as_ref());
    assert_eq!(Some(&after.contact_email), contact_email.as_ref());
    assert_eq!(Some(after.max_users), max_users);
    assert_eq!(Some(after.max_resources), max_resources);
    assert_eq!(Some(&after.modules), modules.as_ref());
    assert_eq!(
        (after.tenant_id, after.kind, after.short_code, after.created_at, after.usage),
        (before.tenant_id, before.kind, before.short_code, before.created_at, before.usage)
    );
}

#[test]
fn a_resource_limit_may_fall_to_what_is_in_use_and_no_further() {
    let reported = Event::UsageReported { resources: 83, grants: 0, at: at(NOW) };
    let history = [active(), vec![reported]].concat();
    let lowered = |limit| Changes { max_resources: Some(resources(limit)), ..Changes::default() };

    assert_eq!(when(&history, update(lowered(83))), Ok(vec![Event::Updated { changes: lowered(83), at: at(NOW) }]));
    assert_eq!(when(&history, update(lowered(82))), Err(Error::LimitBelowUsage { limit: resources(82), used: 83 }));
}

#[test]
fn a_tenant_above_its_resource_limit_can_still_be_renamed() {
    let reported = Event::UsageReported { resources: 300, grants: 0, at: at(NOW) };
    let history = [active(), vec![reported]].concat();
    let renamed = Changes { display_name: Some(value("Acme Limited")), ..no_difference() };
    assert!(when(&history, update(renamed)).is_ok_and(|events| events.len() == 1));
    let raised = Changes { max_resources: Some(resources(299)), ..Changes::default() };
    assert!(matches!(when(&history, update(raised)), Err(Error::LimitBelowUsage { used: 300, .. })));
}

#[test]
fn an_erased_contact_can_be_replaced() {
    let mut erased = account();
    erased.contact_email = Personal::Erased;
    let history = [Event::Provisioned { account: erased, at: at(NOW) }];
    let changes = Changes { contact_email: Some(email("it@acme.example")), ..Changes::default() };
    assert_eq!(when(&history, update(changes.clone())), Ok(vec![Event::Updated { changes, at: at(NOW) }]));
}

#[test]
fn the_data_space_is_named_after_the_short_code() {
    let tenant = state::<Tenant>(&active());
    assert_eq!(
        tenant.account().map(tenure_aggregates::Account::database_name).as_deref(),
        Some("rppam_tenant_acme_corp")
    );
}
