//! What falls due, and what ends it.

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::TenantId;
use tenure_aggregates::values::UsagePeriod;
use tenure_projections::Views;
use tenure_projections::deadlines::{Deadline, Due, due};

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(
    every_month_falls_due_until_the_one_of_the_deletion,
    deletion_falls_due_unless_the_tenant_is_restored,
    deadlines_come_oldest_first_and_not_early,
);

async fn ever(views: &Views) -> Vec<Deadline> {
    due(views, DateTime::<Utc>::MAX_UTC, 100).await.unwrap()
}

fn month_end(tenant_id: TenantId, period: UsagePeriod) -> Deadline {
    Deadline { due: Due::MonthlyUsage { period }, tenant_id, due_at: period.ends_at() }
}

async fn every_month_falls_due_until_the_one_of_the_deletion(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    passed(&views, world.head).await;
    let first = UsagePeriod::containing(world.now());
    assert_eq!(ever(&views).await, [month_end(tenant, first)], "an MSP has no bill");

    world.bill(tenant, first, first.ends_at()).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(ever(&views).await, [month_end(tenant, first.next())]);

    // Deleted tomorrow: that month, or the next one, is still to be written if it was not.
    world.deprovision(tenant).await.unwrap();
    world.delete(tenant).await.unwrap();
    passed(&views, world.head).await;
    let last = UsagePeriod::containing(world.now() + TimeDelta::days(1));
    let left = if last == first { vec![] } else { vec![month_end(tenant, last)] };
    assert_eq!(ever(&views).await, left);
    if last != first {
        world.bill(tenant, last, last.ends_at()).await.unwrap();
        passed(&views, world.head).await;
        assert_eq!(ever(&views).await, []);
    }
}

async fn deletion_falls_due_unless_the_tenant_is_restored(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let period = UsagePeriod::containing(world.now());
    world.deprovision(tenant).await.unwrap();
    passed(&views, world.head).await;
    let tenure_aggregates::Tenant::Deprovisioning { delete_after, .. } = world.tenants[&tenant].state else {
        panic!("it is being deleted")
    };
    let deletion = Deadline { due: Due::Deletion, tenant_id: tenant, due_at: delete_after };
    assert!(ever(&views).await.contains(&deletion));
    world.restore(tenant).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(ever(&views).await, [month_end(tenant, period)]);

    world.deprovision(tenant).await.unwrap();
    world.delete(tenant).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(ever(&views).await, [month_end(tenant, period)], "the month of the deletion is still to be written");
    world.bill(tenant, period, period.ends_at()).await.unwrap();
    passed(&views, world.head).await;
    let next = UsagePeriod::containing(world.now() + TimeDelta::days(1));
    assert_eq!(ever(&views).await.is_empty(), next == period);
}

async fn deadlines_come_oldest_first_and_not_early(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let (billed, fresh) = (world.provision().await, world.provision().await);
    let period = UsagePeriod::containing(world.now());
    world.bill(billed, period, period.ends_at()).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(ever(&views).await, [month_end(fresh, period), month_end(billed, period.next())]);
    assert_eq!(due(&views, DateTime::<Utc>::MAX_UTC, 1).await.unwrap(), [month_end(fresh, period)]);
    assert_eq!(due(&views, period.ends_at(), 9).await.unwrap(), [month_end(fresh, period)]);
    assert_eq!(due(&views, period.ends_at() - TimeDelta::microseconds(1), 9).await.unwrap(), []);
}
