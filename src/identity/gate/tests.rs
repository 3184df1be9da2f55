//! What the gate lets pass, on a real log.

use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use tenure_aggregates::link::{self, GroupGrant, GroupRole, NewLink, Origin};
use tenure_aggregates::tenant::{Event, Stage, TenantKind};
use tenure_aggregates::values::{Groups, Reason, SubjectId, UserId};
use tenure_aggregates::{Decider, Link, LinkId, Personal, TenantId};
use tenure_event_log::{Position, StreamId};
use uuid::Uuid;

use super::{Gate, GateStart, LinkStanding, Ownership, Standing};
use crate::identity::denied::Denied;
use crate::identity::tests::cell::{Cell, new_event, within};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_tenants_people_pass_while_it_is_active() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let tenant = cell.customer(msp).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let kind = TenantKind::Customer { msp };
    assert_eq!(gate.check(tenant), Ok(kind));

    let at = Utc::now();
    let deprovisioned = Event::Deprovisioned { reason: None, retention_ends_at: at, delete_after: at, at };
    for (event, expected) in [
        (Event::Suspended { reason: None, at }, Err(Denied::TenantSuspended)),
        (Event::Reinstated { at }, Ok(kind)),
        (Event::UsageReported { resources: 1, grants: 1, at }, Ok(kind)),
        (deprovisioned.clone(), Err(Denied::TenantDeprovisioned)),
        (Event::Restored { reason: Reason::parse("asked for").unwrap(), at }, Err(Denied::TenantSuspended)),
        (deprovisioned, Err(Denied::TenantDeprovisioned)),
        (Event::Deleted { released_short_code: None, at }, Err(Denied::TenantDeleted)),
    ] {
        let position = cell.append(tenant, &event).await;
        assert!(gate.wait_for(position, SOON).await);
        assert_eq!(gate.check(tenant), expected, "after {event:?}");
    }
    assert_eq!(gate.msp_of(tenant), Some(msp), "a deleted tenant keeps its place");
    assert_eq!(gate.check(msp), Ok(TenantKind::Msp));
    assert_eq!((gate.msp_of(msp), gate.resource(msp).unwrap().kind), (None, TenantKind::Msp));
}

#[tokio::test]
async fn an_unknown_tenant_does_not_pass() {
    let cell = Cell::new().await;
    let stray = cell.customer(TenantId::from_uuid(Uuid::now_v7())).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let nobody = TenantId::from_uuid(Uuid::now_v7());
    assert_eq!(gate.check(nobody), Err(Denied::TenantUnknown));
    assert_eq!(gate.check(stray), Err(Denied::TenantUnknown), "without an MSP there is nobody to answer for it");
    assert_eq!(gate.resource(nobody), None);
}

#[tokio::test]
async fn a_suspended_msp_locks_its_customers_out_too() {
    let cell = Cell::new().await;
    let (msp, other) = (cell.msp().await, cell.msp().await);
    let (tenant, stranger) = (cell.customer(msp).await, cell.customer(other).await);
    cell.suspend(msp).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    assert_eq!(gate.check(tenant), Err(Denied::TenantSuspended));
    assert_eq!(gate.check(msp), Err(Denied::TenantSuspended));
    assert!(gate.check(stranger).is_ok());
    assert!(gate.wait_for(cell.reinstate(msp).await, SOON).await);
    assert!(gate.check(tenant).is_ok());
}

#[tokio::test]
async fn what_the_views_know_is_not_read_again() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let tenant = cell.customer(msp).await;
    let position = cell.suspend(tenant).await;
    let suspended = Standing { kind: TenantKind::Customer { msp }, stage: Stage::Suspended };
    let active = Standing { kind: TenantKind::Msp, stage: Stage::Active };
    let tenants = vec![(msp, active), (tenant, suspended)];
    let start = GateStart { position, tenants, ..GateStart::default() };
    let gate = Gate::start(cell.log.clone(), start).await.unwrap();
    assert_eq!(gate.check(tenant), Err(Denied::TenantSuspended));
    assert!(gate.wait_for(cell.reinstate(tenant).await, SOON).await);
    assert!(gate.check(tenant).is_ok());
}

#[tokio::test]
async fn a_gate_that_can_not_read_turns_tenants_people_away_after_a_second() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let tenant = cell.customer(msp).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(gate.check(tenant).is_ok(), "a quiet log is no reason");

    cell.log.shutdown().await;
    assert!(within(Duration::from_millis(1_500), || gate.check(tenant) == Err(Denied::GateStale)).await);
    assert!(!gate.is_fresh());
    assert_eq!(gate.check(msp), Ok(TenantKind::Msp), "those who run the customers go on");
    assert_eq!(gate.check(TenantId::from_uuid(Uuid::now_v7())), Err(Denied::GateStale));
}

#[tokio::test]
async fn an_event_that_can_not_be_read_is_not_guessed_at() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let (tenant, other) = (cell.customer(msp).await, cell.customer(msp).await);
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();

    // Another aggregate's events are none of the gate's business.
    let delegated = StreamId::new("delegation", "7");
    let position =
        cell.append_to(delegated, tenant, new_event("delegation.granted", &json!({ "delegation.granted": {} })));
    assert!(gate.wait_for(position.await, SOON).await);
    assert!(gate.check(tenant).is_ok());

    cell.suspend(other).await;
    let stream = StreamId::new("tenant", tenant.to_string());
    let unknown = cell.append_to(stream, tenant, new_event("tenant.frozen", &json!({ "tenant.frozen": {} }))).await;
    let bystander = cell.customer(msp).await;
    assert!(gate.wait_for(unknown, SOON).await, "it does not hold up what comes after it");
    let started_later = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    assert!(within(SOON, || gate.check(bystander).is_ok()).await);
    for gate in [gate, started_later] {
        assert_eq!(gate.check(tenant), Err(Denied::GateStale), "nobody guesses what happened to this one");
        assert_eq!(gate.check(other), Err(Denied::TenantSuspended), "what stands before it is in effect");
        assert_eq!(gate.check(bystander), Ok(TenantKind::Customer { msp }), "and nobody else is affected");
    }
}

#[tokio::test]
async fn a_long_log_is_read_to_its_end_before_the_start_is_over() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let tenant = cell.customer(msp).await;
    let mut last = Position::START;
    for _ in 0..600 {
        cell.suspend(tenant).await;
        last = cell.reinstate(tenant).await;
    }
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    assert_eq!(gate.position(), last);
    assert!(gate.check(tenant).is_ok());
}

#[tokio::test]
async fn a_tenant_without_an_msp_passes_whatever_becomes_of_the_msp_that_let_it_go() {
    let cell = Cell::new().await;
    let (msp, other) = (cell.msp().await, cell.msp().await);
    let tenant = cell.customer(msp).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let (at, owner_id) = (Utc::now(), SubjectId::parse("~owner").unwrap());
    let owner = Personal::Known(UserId::parse("ada@acme.example").unwrap());
    cell.append(tenant, &Event::Unlinked { msp, owner, owner_id: owner_id.clone(), at }).await;
    assert!(gate.wait_for(cell.suspend(msp).await, SOON).await);
    assert_eq!((gate.check(tenant), gate.msp_of(tenant)), (Ok(TenantKind::Independent), None));
    assert_eq!(gate.ownership(tenant), Some(Ownership::Owner("~owner".to_owned())));

    let joined = Event::Joined { msp: other, former_owner: owner_id, contact_email: None, at };
    assert!(gate.wait_for(cell.append(tenant, &joined).await, SOON).await);
    assert_eq!(gate.check(tenant), Ok(TenantKind::Customer { msp: other }));
    assert_eq!(gate.ownership(tenant), Some(Ownership::Former("~owner".to_owned())));
    assert!(gate.wait_for(cell.suspend(other).await, SOON).await);
    assert_eq!(gate.check(tenant), Err(Denied::TenantSuspended));
}

#[tokio::test]
async fn a_link_lets_its_groups_in_while_the_msp_manages_the_account() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let tenant = cell.customer(msp).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let at = Utc::now();
    let grant = |id: &str, role| GroupGrant { id: id.parse().unwrap(), role };
    let link = NewLink {
        msp,
        account: tenant,
        name: "Acme".parse().unwrap(),
        domain: "acme.example".parse().unwrap(),
        groups: vec![grant("g1", GroupRole::Auditor), grant("g2", GroupRole::Admin)].try_into().unwrap(),
        dns_challenge: "abc".parse().unwrap(),
    };
    let role = |groups: &[&str]| gate.group_role(msp, tenant, &Groups::parse(groups).unwrap());
    let append = async |event: link::Event| {
        let stream = StreamId::new(Link::TYPE, LinkId::between(msp, tenant).to_string());
        let new = new_event(event.name(), &event);
        assert!(gate.wait_for(cell.append_to(stream, msp, new).await, SOON).await);
    };
    append(link::Event::Created { link: link.clone(), origin: Origin::Existing, at }).await;
    assert_eq!(role(&["g1", "g2"]), None, "the account is not managed yet");
    append(link::Event::Invited { at }).await;
    assert_eq!(role(&["g1"]), None);
    append(link::Event::Accepted { at }).await;
    assert_eq!((role(&["g1"]), role(&["g2", "g1"])), (Some(GroupRole::Auditor), Some(GroupRole::Admin)));
    assert_eq!(gate.let_in(msp, &Groups::parse(&["g2", "x"]).unwrap()), [(tenant, GroupRole::Admin)]);
    let only = vec![grant("g3", GroupRole::User)].try_into().unwrap();
    append(link::Event::Updated { name: None, groups: Some(only), at }).await;
    assert_eq!((role(&["g1", "g2"]), role(&["g3"])), (None, Some(GroupRole::User)));
    append(link::Event::Unlinked { at }).await;
    assert_eq!((role(&["g3"]), gate.let_in(msp, &Groups::parse(&["g3"]).unwrap())), (None, vec![]));

    // What the views know is enough, and an event that nobody here can read lets nobody in.
    let standing = LinkStanding { msp, account: tenant, stage: link::Stage::Pending, groups: link.groups };
    let tenants = vec![(msp, Standing { kind: TenantKind::Msp, stage: Stage::Active })];
    let start = GateStart { position: gate.position(), tenants, links: vec![standing], ..GateStart::default() };
    let gate = Gate::start(cell.log.clone(), start).await.unwrap();
    let groups = Groups::parse(&["g1"]).unwrap();
    assert_eq!(gate.group_role(msp, tenant, &groups), Some(GroupRole::Auditor));
    let stream = StreamId::new(Link::TYPE, LinkId::between(msp, tenant).to_string());
    let unknown = new_event("link.enchanted", &json!({ "link.enchanted": {} }));
    assert!(gate.wait_for(cell.append_to(stream, msp, unknown).await, SOON).await);
    assert_eq!(gate.group_role(msp, tenant, &groups), None);
}
