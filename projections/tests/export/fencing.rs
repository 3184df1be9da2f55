//! Several instances on one database: one exports, and one that was frozen for longer than its lease does no harm.

use std::time::Duration;

use tenure_test_engines::shared_kafka;

use super::comparison::assert_exported;
use super::customers;
use super::exporting_process::ExportingProcess;
use super::settings;
use crate::deployment::{Deployment, eventually, passed};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_frozen_for_longer_than_its_lease_does_no_harm() {
    let Some(brokers) = shared_kafka() else { return };
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let settings = settings(&brokers);
    let mut world = World::new(&log).await;
    let tenants = customers(&mut world, 5).await;

    let first = ExportingProcess::start(&deployment, &settings, None, false);
    first.caught_up(world.head).await;
    let second = ExportingProcess::start(&deployment, &settings, None, false);
    eventually("the second one waits", async || (second.last().state == "standby").then_some(())).await;
    let mut failures = 0;
    for frozen_in in ["the middle", "a pause"] {
        let (holder, other) = if first.last().state == "exporting" { (&first, &second) } else { (&second, &first) };
        if frozen_in == "the middle" {
            // Enough for it to be sending when it freezes.
            for tenant in &tenants {
                world.toggle(*tenant, 500).await;
            }
            let before = holder.last().events;
            eventually("it sends", async || (holder.last().events > before).then_some(())).await;
        }
        holder.signal("STOP");
        for tenant in &tenants {
            world.toggle(*tenant, 2).await;
        }
        other.caught_up(world.head).await;
        holder.signal("CONT");
        eventually("the frozen one gives way", async || (holder.last().state == "standby").then_some(())).await;
        for tenant in &tenants {
            world.toggle(*tenant, 2).await;
        }
        other.caught_up(world.head).await;
        passed(&views, world.head).await;
        assert_exported(&views, &settings, &brokers).await;
        failures = first.last().failures + second.last().failures;
    }
    // In the time of many lease renewals nobody takes anything from anybody.
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        world.suspend(tenants[0]).await;
        world.reinstate(tenants[0]).await;
        let states = [first.last().state, second.last().state];
        assert!(states.contains(&"exporting".to_owned()) && states.contains(&"standby".to_owned()), "{states:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let now = first.last().failures + second.last().failures;
    assert_eq!(now, failures, "they don't fence each other again and again");
    assert!(now <= 4, "{now} failures for two freezes");
    let (holder, other) = if first.last().state == "exporting" { (first, second) } else { (second, first) };
    // One that leaves in order is followed at once.
    holder.finish().await;
    let left = std::time::Instant::now();
    other.exporting().await;
    assert!(left.elapsed() < Duration::from_secs(8), "nobody waits for the lease's end: {:?}", left.elapsed());
    passed(&views, world.head).await;
    assert_exported(&views, &settings, &brokers).await;
}
