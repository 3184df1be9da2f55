//! A week without events: the brokers forget the transactional id, which is nothing to stop for.

use std::process::Stdio;
use std::time::Duration;

use tenure_projections::export::Export;
use tenure_test_engines::{KafkaBroker, shared_kafka};
use tokio::process::Command;

use super::comparison::assert_exported;
use super::{caught_up, customers, settings};
use crate::deployment::{Deployment, passed};
use crate::world::World;

/// A second instead of a week.
const FORGETFUL: &[(&str, &str)] = &[
    ("transactional.id.expiration.ms", "1000"),
    ("transaction.remove.expired.transaction.cleanup.interval.ms", "500"),
    ("producer.id.expiration.ms", "1000"),
    ("producer.id.expiration.check.interval.ms", "500"),
];

/// The transactional ids that the broker knows, as Kafka's own tool lists them.
async fn known_ids(broker: &KafkaBroker) -> String {
    let mut java = Command::new(std::env::var_os("KAFKA_JAVA").expect("Java"));
    java.arg("-Xmx128m").arg("-cp").arg(std::env::var_os("KAFKA_CLASSPATH").expect("Kafka"));
    java.args(["org.apache.kafka.tools.TransactionsCommand", "--bootstrap-server", &broker.bootstrap(), "list"]);
    let listed = java.stderr(Stdio::inherit()).output().await.unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap()
}

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
        while known_ids(&broker).await.contains(&settings.transactional_id()) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for tenant in &tenants {
            world.toggle(*tenant, 2).await;
        }
        caught_up(&export, &world).await;
    }
    println!("{} failures, the last reason: {:?}", export.status().failures, export.status().reason);
    assert!(export.status().failures <= 4, "{:?}", export.status());
    export.shutdown().await;
    // And over a restart.
    while known_ids(&broker).await.contains(&settings.transactional_id()) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.toggle(tenants[0], 2).await;
    let export = Export::start(settings.clone(), &views);
    caught_up(&export, &world).await;
    passed(&views, world.head).await;
    assert_exported(&views, &settings, &broker.bootstrap()).await;
    export.shutdown().await;
}
