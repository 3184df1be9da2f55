//! The topics: made as the settings say, and not written to while they contradict them.

use tenure_projections::export::{Export, ExportSettings};
use tenure_test_engines::shared_kafka;

use super::comparison::assert_exported;
use super::meddling::{configuration, configure, create, partitions};
use super::{caught_up, settings, stopped};
use crate::deployment::Deployment;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_topics_are_made_as_the_settings_say() {
    let Some(brokers) = shared_kafka() else { return };
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    let settings = ExportSettings { partitions: 3, ..settings(&brokers) };
    let export = Export::start(settings.clone(), &views);
    caught_up(&export, &world).await;
    let billing = configuration(&brokers, &settings.topic).await;
    let said = ["cleanup.policy", "retention.ms", "min.insync.replicas"].map(|key| billing[key].as_str());
    assert_eq!(said, ["delete", "-1", "1"], "revenue does not expire");
    assert_eq!(partitions(&brokers, &settings.topic), 3);
    let progress = configuration(&brokers, &settings.progress_topic).await;
    assert_eq!((progress["cleanup.policy"].as_str(), partitions(&brokers, &settings.progress_topic)), ("compact", 1));
    assert_exported(&views, &settings, &brokers).await;
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradictions_are_named_and_nothing_is_written_until_they_are_mended() {
    let Some(brokers) = shared_kafka() else { return };
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    let settings = settings(&brokers);
    let (billing, progress) = (&settings.topic, &settings.progress_topic);
    create(&brokers, billing, 6, &[("cleanup.policy", "compact"), ("retention.ms", "-1")]).await;
    create(&brokers, progress, 1, &[("cleanup.policy", "delete")]).await;
    let export = Export::start(settings.clone(), &views);
    stopped(&export, &format!("topic {billing} is compacted, so that events would be lost")).await;
    configure(&brokers, billing, &[("cleanup.policy", "delete"), ("retention.ms", "60000")]).await;
    stopped(&export, &format!("topic {billing} has retention.ms = 60000, kafka_retention_ms says -1")).await;
    configure(&brokers, billing, &[("cleanup.policy", "delete"), ("retention.ms", "-1")]).await;
    stopped(&export, &format!("topic {progress} is not compacted")).await;
    assert!(super::reader::read(&brokers, billing).await.is_empty());
    configure(&brokers, progress, &[("cleanup.policy", "compact")]).await;
    caught_up(&export, &world).await;
    assert_exported(&views, &settings, &brokers).await;
    export.shutdown().await;

    // A change of the settings is none of the topic's.
    for (contradicting, sentence) in [
        (ExportSettings { partitions: 7, ..settings.clone() }, "has partitions = 6, kafka_partitions says 7"),
        (ExportSettings { replication: 3, ..settings.clone() }, "has 1 copies, kafka_replication says 3"),
    ] {
        let export = Export::start(contradicting, &views);
        stopped(&export, sentence).await;
        export.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_can_not_be_made_is_named() {
    let Some(brokers) = shared_kafka() else { return };
    let deployment = Deployment::sqlite().await;
    let (_log, views) = deployment.open().await;
    let settings = ExportSettings { replication: 3, min_insync_replicas: 2, ..settings(&brokers) };
    let export = Export::start(settings.clone(), &views);
    let reason = format!("the topic {} can't be made", settings.topic);
    super::says(&export, tenure_projections::export::ExportState::Connecting, &reason).await;
    export.shutdown().await;
}
