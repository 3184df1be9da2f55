//! Billing events: which there are, what they say, and how they are found.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tenure_aggregates::TenantId;
use tenure_aggregates::values::UsagePeriod;
use tenure_event_log::Position;
use tenure_projections::Views;
use tenure_projections::billing::{BillingEvent, BillingFilter, BillingScope, BillingType, page};

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(
    each_billing_event_says_what_is_billed,
    a_tenant_moves_from_bill_to_bill,
    a_months_usage_occurs_in_its_last_second,
    events_are_found_by_scope_time_type_and_page,
);

async fn all(views: &Views, scope: BillingScope, filter: &BillingFilter) -> Vec<BillingEvent> {
    page(views, scope, filter, Position::START, 1_000).await.unwrap()
}

fn data(event: &BillingEvent) -> (&str, Value) {
    (&event.event_type, serde_json::from_str(&event.data).unwrap())
}

async fn each_billing_event_says_what_is_billed(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    world.suspend(tenant).await.unwrap();
    world.report(tenant, 1, 1).await;
    world.reinstate(tenant).await.unwrap();
    world.report(tenant, 1, 1).await.unwrap();
    world.invite(tenant).await;
    world.deprovision(tenant).await.unwrap();
    world.restore(tenant).await.unwrap();
    world.deprovision(tenant).await.unwrap();
    world.delete(tenant).await.unwrap();
    passed(&views, world.head).await;

    let events = all(&views, BillingScope::Msp(world.msp), &BillingFilter::default()).await;
    let code = world.tenants[&tenant].state.account().unwrap().short_code.to_string();
    let said: Vec<_> = events.iter().map(data).collect();
    let retention = &said[3].1["retentionEndsUtc"];
    assert!(retention.as_str().unwrap().parse::<DateTime<Utc>>().is_ok());
    assert_eq!(said[0], ("tenant.provisioned", json!({ "shortCode": code })));
    assert_eq!(said[1], ("tenant.suspended", json!({ "reason": "unpaid" })));
    assert_eq!(said[2], ("tenant.reinstated", json!({})));
    assert_eq!(said[3].0, "tenant.deprovisioned");
    assert_eq!(said[4], ("tenant.restored", json!({ "reason": "a mistake" })));
    assert_eq!(said[5].0, "tenant.deprovisioned");
    assert_eq!(said[6], ("tenant.deleted", json!({})));
    assert_eq!(said.len(), 7);
    let types: Vec<&str> = events.iter().map(|event| event.event_type.as_str()).collect();
    let unheard = BillingType::ALL.map(BillingType::name).into_iter().filter(|name| !types.contains(name));
    let elsewhere = ["tenant.usage.monthly", "tenant.joined", "tenant.unlinked", "tenant.subscription.changed"];
    assert_eq!(unheard.collect::<Vec<_>>(), elsewhere, "which the next tests are about");
    for event in &events {
        assert_eq!((event.tenant_id, event.msp_id, event.short_code.as_str()), (tenant, world.msp, code.as_str()));
        let stored = &log.read(Position::new(event.position.get() - 1), 1).await.unwrap()[0];
        assert_eq!((&*stored.event_type, stored.recorded_at), (event.event_type.as_str(), event.recorded_at));
        assert_eq!(event.event_id.get_version_num(), 5);
    }
}

async fn a_tenant_moves_from_bill_to_bill(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let other = World::new(&log).await;
    let tenant = world.provision().await;
    let code = world.tenants[&tenant].state.account().unwrap().short_code.to_string();
    world.subscribe(tenant, "price_1").await;
    world.unlink(tenant).await.unwrap();
    world.suspend(tenant).await.unwrap();
    world.reinstate(tenant).await.unwrap();
    world.join(tenant, other.msp).await.unwrap();
    world.suspend(tenant).await.unwrap();
    passed(&views, world.head).await;

    let bill = async |msp| {
        let events = all(&views, BillingScope::Msp(msp), &BillingFilter::default()).await;
        events.iter().map(data).map(|(name, data)| (name.to_owned(), data)).collect::<Vec<_>>()
    };
    let line = |name: &str, data| (name.to_owned(), data);
    let ours = [
        line("tenant.provisioned", json!({ "shortCode": code })),
        line("tenant.subscription.changed", json!({ "priceId": "price_1" })),
        line("tenant.unlinked", json!({})),
    ];
    assert_eq!(bill(world.msp).await, ours, "what happens without an MSP is on nobody's bill");
    let theirs =
        [line("tenant.joined", json!({ "shortCode": code })), line("tenant.suspended", json!({ "reason": "unpaid" }))];
    assert_eq!(bill(other.msp).await, theirs);
}

async fn a_months_usage_occurs_in_its_last_second(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let period = UsagePeriod::containing(world.now());
    world.bill(tenant, period, period.ends_at() + TimeDelta::days(3)).await.unwrap();
    passed(&views, world.head).await;
    let whole_month = BillingFilter { from: Some(period.starts_at()), to: Some(period.ends_at()), types: Vec::new() };
    let events = all(&views, BillingScope::Msp(world.msp), &whole_month).await;
    let usage = &events[1];
    assert_eq!(usage.occurred_at, period.ends_at() - TimeDelta::seconds(1));
    let counts = json!({ "userCount": 1, "resourceCount": 2, "grantCount": 3, "period": period.to_string() });
    assert_eq!(data(usage), ("tenant.usage.monthly", counts));
}

async fn events_are_found_by_scope_time_type_and_page(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let mut other = World::new(&log).await;
    let (ours, theirs) = (world.provision().await, other.provision().await);
    world.suspend(ours).await.unwrap();
    let start = world.now();
    log.shutdown().await;
    // A year later.
    let log = deployment.log_ahead(TimeDelta::days(365)).await;
    let views = deployment.views(&log).await;
    (world.log, other.log) = (log.clone(), log.clone());
    let second = world.provision().await;
    other.suspend(theirs).await.unwrap();
    world.reinstate(ours).await.unwrap();
    passed(&views, world.head).await;

    let msp = BillingScope::Msp(world.msp);
    let found = async |scope, filter: BillingFilter| {
        let events = all(&views, scope, &filter).await;
        events.into_iter().map(|event| (event.tenant_id, event.event_type)).collect::<Vec<_>>()
    };
    let named = |tenant: TenantId, name: &str| (tenant, name.to_owned());
    let (before, after) = (
        [named(ours, "tenant.provisioned"), named(ours, "tenant.suspended")],
        [named(second, "tenant.provisioned"), named(ours, "tenant.reinstated")],
    );
    assert_eq!(found(msp, BillingFilter::default()).await, [before.clone(), after.clone()].concat());
    let late = BillingFilter { from: Some(start + TimeDelta::days(300)), ..BillingFilter::default() };
    assert_eq!(found(msp, late).await, after);
    let early = BillingFilter { to: Some(start + TimeDelta::days(300)), ..BillingFilter::default() };
    assert_eq!(found(msp, early.clone()).await, before);
    let typed = BillingFilter { types: vec!["tenant.suspended".to_owned(), "tenant.deleted".to_owned()], ..early };
    assert_eq!(found(msp, typed).await, before[1..]);
    let one = BillingScope::Customer { msp: world.msp, tenant: ours };
    assert_eq!(found(one, BillingFilter::default()).await, [&before[..], &after[1..]].concat());
    let foreign = BillingScope::Customer { msp: world.msp, tenant: theirs };
    assert_eq!(found(foreign, BillingFilter::default()).await, []);

    let everything = all(&views, msp, &BillingFilter::default()).await;
    let until_tomorrow = BillingFilter { to: Some(world.now() + TimeDelta::days(1)), ..BillingFilter::default() };
    assert_eq!(all(&views, msp, &until_tomorrow).await, everything);
    let mut pages = Vec::new();
    let mut place = Position::START;
    loop {
        let next = page(&views, msp, &BillingFilter::default(), place, 3).await.unwrap();
        let Some(last) = next.last() else { break };
        place = last.position;
        pages.extend(next);
    }
    assert_eq!(pages, everything);
    let exact =
        BillingFilter { from: Some(everything[1].occurred_at), to: Some(everything[2].occurred_at), types: vec![] };
    assert_eq!(all(&views, msp, &exact).await, everything[1..2], "from is inclusive, to is not");
}
