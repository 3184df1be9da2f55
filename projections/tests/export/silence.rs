//! A week without events: the brokers forget the transactional id, which is nothing to stop for.

use std::time::Duration;

use tenure_projections::export::Export;
use tenure_test_engines::{KafkaBroker, shared_kafka};

use super::comparison::assert_exported;
use super::{caught_up, customers, settings};
use crate::deployment::{Deployment, passed};
use crate::world::World;

/// A few seconds instead of a week.
const FORGETFUL: &[(&str, &str)] = &[
    ("transactional.id.expiration.ms", "3000"),
    ("transaction.remove.expired.transaction.cleanup.interval.ms", "500"),
    ("producer.id.expiration.ms", "3000"),
    ("producer.id.expiration.check.interval.ms", "500"),
];

/// Longer than the broker remembers.
const SILENCE: Duration = Duration::from_millis(4_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_transactional_id_is_a_normal_case() {
    if shared_kafka().is_none() {
        return;
    }
    let broker = KafkaBroker::start_with(FORGETFUL).await;
    let settings = settings(&broker.bootstrap());
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenants = customers(&mut world, 3).await;
    let export = Export::start(settings.clone(), &views);
    caught_up(&export, &world).await;
    for _ in 0..2 {
        tokio::time::sleep(SILENCE).await;
        for tenant in &tenants {
            world.toggle(*tenant, 2).await;
        }
        caught_up(&export, &world).await;
    }
    let failures = export.status().failures;
    println!("{failures} transactions of forgotten producers");
    assert!((2..=4).contains(&failures), "forgotten twice, and no more trouble than that: {:?}", export.status());
    export.shutdown().await;
    // And over a restart.
    tokio::time::sleep(SILENCE).await;
    world.toggle(tenants[0], 2).await;
    let export = Export::start(settings.clone(), &views);
    caught_up(&export, &world).await;
    passed(&views, world.head).await;
    assert_exported(&views, &settings, &broker.bootstrap()).await;
    export.shutdown().await;
}
