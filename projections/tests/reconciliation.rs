//! Sums per tenant and month: what they hold, in which order, and that pages and late events change nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::TenantId;
use tenure_aggregates::values::UsagePeriod;
use tenure_event_log::Position;
use tenure_projections::Views;
use tenure_projections::billing::{
    BillingFilter, BillingPages, BillingScope, MonthTotal, Reconciliation, fingerprint, msps, page,
};
use uuid::Uuid;

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(
    the_sums_are_those_of_the_events,
    a_month_ends_with_what_was_recorded_late,
    who_changes_the_msp_is_summed_up_for_each_apart,
    more_tenants_and_events_than_a_page_holds_are_summed_up,
    views_that_are_only_read_say_the_same,
);

type Between = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

async fn totals(views: &Views, msp: TenantId, (from, to): Between) -> Vec<MonthTotal> {
    let mut reconciliation = Reconciliation::begin(views, msp, from, to).await.unwrap();
    let mut totals = Vec::new();
    while let Some(page) = reconciliation.next(views).await.unwrap() {
        assert!(!page.is_empty());
        totals.extend(page);
    }
    totals
}

/// The same from the list of events.
async fn expected(views: &Views, msp: TenantId, (from, to): Between) -> Vec<MonthTotal> {
    let filter = BillingFilter { from, to, types: Vec::new() };
    let mut pages = BillingPages::new(BillingScope::Msp(msp), filter, Position::START);
    let mut ids: BTreeMap<(TenantId, UsagePeriod), (String, Vec<Uuid>)> = BTreeMap::new();
    loop {
        let events = pages.next(views, 500).await.unwrap();
        let is_last = events.len() < 500;
        for event in events {
            let month = UsagePeriod::containing(event.occurred_at);
            let entry = ids.entry((event.tenant_id, month)).or_insert((event.short_code, Vec::new()));
            entry.1.push(event.event_id);
        }
        if is_last {
            break;
        }
    }
    let total = |((tenant_id, month), (short_code, ids)): ((TenantId, UsagePeriod), (String, Vec<Uuid>))| {
        let count = u64::try_from(ids.len()).unwrap();
        MonthTotal { tenant_id, short_code, month, count, sha256: fingerprint(ids) }
    };
    ids.into_iter().map(total).collect()
}

async fn the_sums_are_those_of_the_events(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let mut other = World::new(&log).await;
    let (first, second, theirs) = (world.provision().await, world.provision().await, other.provision().await);
    world.suspend(first).await.unwrap();
    let start = world.now();
    log.shutdown().await;
    let log = deployment.log_ahead(TimeDelta::days(62)).await;
    let views = deployment.views(&log).await;
    (world.log, other.log) = (log.clone(), log.clone());
    world.reinstate(first).await.unwrap();
    other.suspend(theirs).await.unwrap();
    passed(&views, world.head.max(other.head)).await;

    let all = totals(&views, world.msp, (None, None)).await;
    assert_eq!(all, expected(&views, world.msp, (None, None)).await);
    let (now, later) = (UsagePeriod::containing(start), UsagePeriod::containing(world.now()));
    let said: Vec<_> = all.iter().map(|total| (total.tenant_id, total.month, total.count)).collect();
    assert_eq!(said, [(first, now, 2), (first, later, 1), (second, now, 1)]);
    assert_eq!(totals(&views, other.msp, (None, None)).await.len(), 2, "each MSP has its own");
    let early = (None, Some(start + TimeDelta::days(31)));
    assert_eq!(totals(&views, world.msp, early).await, [all[0].clone(), all[2].clone()]);
    let late = (Some(start + TimeDelta::days(31)), None);
    assert_eq!(totals(&views, world.msp, late).await, [all[1].clone()]);
    let nothing = (Some(start + TimeDelta::days(31)), Some(start + TimeDelta::days(32)));
    assert_eq!(totals(&views, world.msp, nothing).await, []);
    let mut known = [world.msp, other.msp];
    known.sort_unstable();
    assert_eq!(msps(&views).await.unwrap(), known);
}

async fn a_month_ends_with_what_was_recorded_late(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let period = UsagePeriod::containing(world.now());
    log.shutdown().await;
    // A downtime of two months; meanwhile nothing was recorded.
    let log = deployment.log_ahead(TimeDelta::days(65)).await;
    let views = deployment.views(&log).await;
    world.log = log.clone();
    // More than is looked through without halving.
    for _ in 0..100 {
        world.suspend(tenant).await.unwrap();
        world.reinstate(tenant).await.unwrap();
    }
    world.bill(tenant, period, world.now()).await.unwrap();
    for _ in 0..100 {
        world.suspend(tenant).await.unwrap();
        world.reinstate(tenant).await.unwrap();
    }
    passed(&views, world.head).await;

    let month = (Some(period.starts_at()), Some(period.ends_at()));
    let sums = totals(&views, world.msp, month).await;
    assert_eq!(sums.iter().map(|total| total.count).collect::<Vec<_>>(), [2], "provisioning and usage");
    let filter = BillingFilter { from: month.0, to: month.1, types: Vec::new() };
    let scope = BillingScope::Msp(world.msp);
    let names = async |limit: u32| {
        let mut pages = BillingPages::new(scope, filter.clone(), Position::START);
        let mut names = Vec::new();
        loop {
            let events = pages.next(&views, limit).await.unwrap();
            let is_last = events.len() < limit as usize;
            names.extend(events.into_iter().map(|event| event.event_type));
            if is_last {
                return names;
            }
        }
    };
    for limit in [1, 2, 3, 500] {
        assert_eq!(names(limit).await, ["tenant.provisioned", "tenant.usage.monthly"], "{limit} at a time");
    }
    let usage = page(&views, scope, &filter, Position::new(20), 10).await.unwrap();
    assert_eq!(usage.len(), 1, "also for who has read a part before");
    let after_all = (Some(period.ends_at()), None);
    assert_eq!(totals(&views, world.msp, after_all).await.iter().map(|total| total.count).sum::<u64>(), 400);
}

async fn who_changes_the_msp_is_summed_up_for_each_apart(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let mut other = World::new(&log).await;
    let tenant = world.provision().await;
    world.suspend(tenant).await.unwrap();
    world.reinstate(tenant).await.unwrap();
    world.unlink(tenant).await.unwrap();
    let to = other.msp;
    world.join(tenant, to).await.unwrap();
    world.suspend(tenant).await.unwrap();
    other.provision().await;
    passed(&views, world.head.max(other.head)).await;
    for (msp, counts) in [(world.msp, vec![4]), (other.msp, vec![2, 1])] {
        let sums = totals(&views, msp, (None, None)).await;
        assert_eq!(sums, expected(&views, msp, (None, None)).await);
        assert_eq!(sums.iter().map(|total| total.count).collect::<Vec<_>>(), counts);
    }
}

async fn more_tenants_and_events_than_a_page_holds_are_summed_up(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    // Pages hold 100 tenants and statements 5,000 events.
    for number in 0..205 {
        let tenant = world.provision().await;
        if number == 40 {
            for _ in 0..6 {
                world.toggle(tenant, 1_000).await;
            }
        }
    }
    passed(&views, world.head).await;
    let sums = totals(&views, world.msp, (None, None)).await;
    assert_eq!(sums, expected(&views, world.msp, (None, None)).await);
    assert_eq!(sums.iter().map(|total| total.count).sum::<u64>(), 205 + 12_000);
    assert!(sums.is_sorted_by_key(|total| (total.tenant_id, total.month)));
}

async fn views_that_are_only_read_say_the_same(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    world.suspend(tenant).await.unwrap();
    passed(&views, world.head).await;
    let beside = deployment.views_read_only(&log).await;
    assert_eq!(totals(&beside, world.msp, (None, None)).await, totals(&views, world.msp, (None, None)).await);
    world.reinstate(tenant).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(totals(&beside, world.msp, (None, None)).await[0].count, 3, "and see what comes");
    beside.shutdown().await;
}
