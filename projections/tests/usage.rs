//! What a tenant held at the end of a month, by the time at which the log took the events.

use chrono::TimeDelta;
use tenure_aggregates::values::UsagePeriod;
use tenure_projections::usage::{UsageCounts, at_month_end};

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(a_months_counts_are_those_of_its_last_event);

async fn a_months_counts_are_those_of_its_last_event(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let (stays, goes) = (world.invite(tenant).await, world.invite(tenant).await);
    world.accept(stays).await.unwrap();
    world.accept(goes).await.unwrap();
    world.report(tenant, 5, 6).await.unwrap();
    world.report(tenant, 7, 8).await.unwrap();
    let first =
        UsagePeriod::containing(log.read(world.head, 1).await.unwrap().first().map_or(world.now(), |e| e.recorded_at));
    log.shutdown().await;

    // Half a year later.
    let log = deployment.log_ahead(TimeDelta::days(190)).await;
    let views = deployment.views(&log).await;
    world.log = log;
    let later = UsagePeriod::containing(world.now());
    world.remove(goes).await.unwrap();
    world.deprovision(tenant).await.unwrap();
    passed(&views, world.head).await;

    let held = async |period| at_month_end(&views, tenant, period).await.unwrap();
    let was = Some(UsageCounts { users: 2, resources: 7, grants: 8 });
    assert_eq!(held(first).await, was);
    assert_eq!(held(first.next().next()).await, was, "a month without events is like the one before");
    let is = Some(UsageCounts { users: 1, resources: 7, grants: 8 });
    assert_eq!((held(later).await, held(later.next()).await), (is, is));
    let before: UsagePeriod = "2001-01".parse().unwrap();
    assert_eq!(held(before).await, None);

    world.delete(tenant).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(held(later).await, Some(UsageCounts::default()));
    assert_eq!(held(first).await, was);
}
