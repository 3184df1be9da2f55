//! Other cells on the same topics.

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tenure_projections::export::{Export, ExportState, Order, Part, check};

use super::doubts::Done;
use super::meddling::delete;
use super::{caught_up, customers, stays, stopped};
use crate::deployment::{Deployment, PATIENCE, eventually};

/// A transaction of somebody else's, with a record in a topic.
fn open_transaction(brokers: &str, topic: &str) -> BaseProducer {
    open_transaction_with(brokers, topic, &[])
}

pub fn open_transaction_with(brokers: &str, topic: &str, headers: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("transactional.id", format!("neighbour-of-{topic}"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
    for partition in 0..super::meddling::partitions(brokers, topic) {
        let record = BaseRecord::to(topic).partition(i32::try_from(partition).unwrap()).key("neighbour").payload("{}");
        producer.send(record.headers(headers.clone())).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    producer
}

/// Readers of what is committed see nothing behind it: neither progress nor events that were committed since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_of_another_cell_hides_no_progress() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let neighbour = open_transaction(&done.brokers, &done.settings.progress_topic);
    let export = {
        let neighbour_first = Export::start(done.settings.clone(), &done.views);
        let waits = async || (neighbour_first.status().state == ExportState::Connecting).then_some(());
        eventually("it waits for the neighbour", waits).await;
        neighbour.abort_transaction(PATIENCE).unwrap();
        caught_up(&neighbour_first, &done.world).await;
        neighbour_first
    };
    neighbour.begin_transaction().unwrap();
    neighbour.send(BaseRecord::to(&done.settings.progress_topic).partition(0).key("neighbour").payload("{}")).unwrap();
    neighbour.flush(PATIENCE).unwrap();
    // Commits of ours behind it.
    customers(&mut done.world, 3).await;
    caught_up(&export, &done.world).await;
    export.shutdown().await;
    let export = Export::start(done.settings.clone(), &done.views);
    customers(&mut done.world, 3).await;
    stays(&export, ExportState::Connecting).await;
    neighbour.commit_transaction(PATIENCE).unwrap();
    caught_up(&export, &done.world).await;
    done.assert_exported().await;
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_of_another_cell_hides_no_event_from_a_rescan() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    let neighbour = open_transaction(&done.brokers, &done.settings.topic);
    customers(&mut done.world, 6).await;
    caught_up(&export, &done.world).await;
    export.shutdown().await;
    delete(&done.brokers, &done.settings.progress_topic).await;
    let export = done.start("the progress topic has no record").await;
    tenure_projections::export::order(&done.views, Order::Rescan).await.unwrap();
    let began = std::time::Instant::now();
    while began.elapsed().as_secs() < 2 {
        stopped(&export, "the progress topic has no record").await;
    }
    neighbour.abort_transaction(PATIENCE).unwrap();
    caught_up(&export, &done.world).await;
    done.assert_exported().await;
    export.shutdown().await;
}

/// Whether they are there or were taken back nobody knows before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_of_another_cell_that_hides_events_is_waited_for() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    let neighbour = open_transaction(&done.brokers, &done.settings.topic);
    customers(&mut done.world, 6).await;
    // It runs on.
    caught_up(&export, &done.world).await;
    export.shutdown().await;
    let export = Export::start(done.settings.clone(), &done.views);
    stays(&export, ExportState::Connecting).await;
    neighbour.commit_transaction(PATIENCE).unwrap();
    customers(&mut done.world, 1).await;
    caught_up(&export, &done.world).await;
    let ours = done.records().await - super::meddling::partitions(&done.brokers, &done.settings.topic);
    assert_eq!(ours, 13);
    export.shutdown().await;
}

/// Otherwise whoever compares would read of lost events that are all there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_transaction_of_another_cell_makes_no_event_missing() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    let neighbour = open_transaction(&done.brokers, &done.settings.topic);
    customers(&mut done.world, 6).await;
    caught_up(&export, &done.world).await;
    let (compared, ended) =
        tokio::join!(check(&done.settings, &done.views, &done.settings.topic, Part::default()), async {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            neighbour.abort_transaction(PATIENCE)
        });
    ended.unwrap();
    let report = compared.unwrap().report;
    assert!(report.is_clean() && report.events == 12, "{report:?}");
    export.shutdown().await;
}
