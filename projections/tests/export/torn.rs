//! Transactions whose end only some partitions got, as a lone broker leaves them that forgets the rest and has it taken back:
//! made by hand, since a real one is torn at random (`hanging.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use tenure_projections::export::{Export, ExportSettings, ExportState, Order, Progress, Step, Written};

use super::comparison::{assert_exported, of_the_log};
use super::doubts::Done;
use super::meddling::create;
use super::neighbours::open_transaction_with;
use super::reader::{Seen, read};
use super::{caught_up, customers, says, stopped};
use crate::deployment::{Deployment, PATIENCE};

on_both_engines!(
    events_that_some_partitions_have_not_shown_are_sent_to_those_alone,
    events_that_some_partitions_lost_are_sent_again_to_those_alone,
    a_torn_transaction_can_be_mended_by_one_that_is_torn_too,
);

/// Where each record of a transaction was put.
#[derive(Clone, Default)]
struct Delivered(Arc<Mutex<BTreeMap<i32, Written>>>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        let message = result.as_ref().unwrap();
        let last = Written { offset: message.offset(), position: u64::try_from(position).unwrap() };
        self.0.lock().unwrap().insert(message.partition(), last);
    }
}

/// Topics that are written by hand, and what an export would write to them in two transactions.
struct Torn {
    done: Done,
    producer: BaseProducer<Delivered>,
    /// The first transaction; it is there.
    first: Progress,
    /// The events of the second one.
    events: Vec<Seen>,
    /// The progress after it, but for where it put its records.
    second: Progress,
}

impl Torn {
    async fn on(deployment: &Deployment) -> Option<Self> {
        let mut done = Done::on(deployment).await?;
        let first = done.progress().await;
        customers(&mut done.world, 6).await;
        for tenant in done.world.tenants.keys().copied().filter(|tenant| *tenant != done.world.msp).collect::<Vec<_>>()
        {
            done.world.toggle(tenant, 3).await;
        }
        let export = Export::start(done.settings.clone(), &done.views);
        caught_up(&export, &done.world).await;
        export.shutdown().await;
        let (second, mut records) = (done.progress().await, read(&done.brokers, &done.settings.topic).await);
        records.sort_by_key(position);
        let events = records.split_off(records.partition_point(|record| position(record) <= first.position));

        let (topic, progress_topic) =
            (format!("{}.torn", first.topic), format!("{}.torn", done.settings.progress_topic));
        done.settings = ExportSettings { topic: topic.clone(), progress_topic, ..done.settings };
        let retention = done.settings.retention_ms.to_string();
        create(&done.brokers, &topic, done.settings.partitions, &[("retention.ms", &retention)]).await;
        create(&done.brokers, &done.settings.progress_topic, 1, &[("cleanup.policy", "compact")]).await;
        let config = done.settings.transactional_producer();
        let producer: BaseProducer<Delivered> = config.create_with_context(Delivered::default()).unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        let start = |progress: Progress| Progress { topic: topic.clone(), written: BTreeMap::new(), ..progress };
        let mut torn = Self { done, producer, first: start(first), events, second: start(second) };
        torn.producer.begin_transaction().unwrap();
        let written = torn.send(&records);
        torn.first.written.clone_from(&written);
        torn.second.written = written;
        torn.say(&torn.first);
        torn.producer.commit_transaction(PATIENCE).unwrap();
        Some(torn)
    }

    /// The second transaction's events for every other partition that has some, from the first or the second on.
    fn every_other(&self, from: usize) -> Vec<Seen> {
        let partitions: BTreeSet<i32> = self.events.iter().map(|event| event.partition).collect();
        let some: BTreeSet<i32> = partitions.into_iter().skip(from).step_by(2).collect();
        let events: Vec<Seen> = self.events.iter().filter(|event| some.contains(&event.partition)).cloned().collect();
        assert!(!events.is_empty());
        events
    }

    /// Answers where the last one of each partition is.
    fn send(&self, events: &[Seen]) -> BTreeMap<i32, Written> {
        self.producer.context().0.lock().unwrap().clear();
        for event in events {
            let position = usize::try_from(position(event)).unwrap();
            let headers = event
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
            let record = BaseRecord::with_opaque_to(&self.done.settings.topic, position).headers(headers);
            let record = record.key(event.key.as_ref().unwrap()).payload(event.payload.as_ref().unwrap());
            self.producer.send(record.partition(event.partition)).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
        self.producer.context().0.lock().unwrap().clone()
    }

    fn say(&self, progress: &Progress) {
        let (key, value) = (self.done.settings.transactional_id(), serde_json::to_string(progress).unwrap());
        let record = BaseRecord::with_opaque_to(&self.done.settings.progress_topic, 0).partition(0);
        self.producer.send(record.key(&key).payload(&value)).map_err(|(error, _)| error).unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }

    fn commit(&mut self, events: &[Seen], progress: Option<&Progress>) {
        self.end(events, progress, BaseProducer::commit_transaction);
    }

    fn abort(&mut self, events: &[Seen], progress: Option<&Progress>) {
        self.end(events, progress, BaseProducer::abort_transaction);
    }

    fn end(
        &mut self,
        events: &[Seen],
        progress: Option<&Progress>,
        end: impl Fn(&BaseProducer<Delivered>, Duration) -> rdkafka::error::KafkaResult<()>,
    ) {
        self.producer.begin_transaction().unwrap();
        let written = self.send(events);
        self.second.written.extend(written);
        if let Some(progress) = progress {
            self.say(&Progress { written: self.second.written.clone(), ..progress.clone() });
        }
        end(&self.producer, PATIENCE).unwrap();
    }

    /// The second transaction as if it had been committed in one half of the partitions, with or without its progress.
    fn tear(&mut self, is_told: bool) {
        let (shown, hidden, second) = (self.every_other(0), self.every_other(1), self.second.clone());
        if is_told {
            self.abort(&hidden, None);
            self.commit(&shown, Some(&second));
        } else {
            self.commit(&shown, None);
            self.abort(&hidden, Some(&second));
        }
    }

    /// What the database remembers is the second transaction.
    async fn remember(&self, deployment: &Deployment) {
        let second = serde_json::to_string(&self.second).unwrap();
        deployment.meddle_with_views(&format!("update {{}}exports set progress = '{second}'")).await;
    }

    /// The export goes on and mends it, once; nothing is left to be mended at the next start.
    async fn assert_mended(mut self) {
        let export = Export::start(self.done.settings.clone(), &self.done.views);
        caught_up(&export, &self.done.world).await;
        self.done.assert_exported().await;
        export.shutdown().await;
        let written = self.done.progress().await.written;
        customers(&mut self.done.world, 2).await;
        let export = Export::start(self.done.settings.clone(), &self.done.views);
        caught_up(&export, &self.done.world).await;
        self.done.assert_exported().await;
        export.shutdown().await;
        let partitions: BTreeSet<i32> = self.events.iter().map(|event| event.partition).collect();
        assert!(partitions.iter().all(|partition| written.contains_key(partition)), "{written:?}");
    }
}

fn position(record: &Seen) -> u64 {
    record.header("ce_sequence").parse().unwrap()
}

async fn events_that_some_partitions_have_not_shown_are_sent_to_those_alone(deployment: Deployment) {
    let Some(mut torn) = Torn::on(&deployment).await else { return };
    torn.tear(false);
    torn.remember(&deployment).await;
    torn.assert_mended().await;
}

async fn events_that_some_partitions_lost_are_sent_again_to_those_alone(deployment: Deployment) {
    let Some(mut torn) = Torn::on(&deployment).await else { return };
    torn.tear(true);
    torn.remember(&deployment).await;
    torn.assert_mended().await;
}

async fn a_torn_transaction_can_be_mended_by_one_that_is_torn_too(deployment: Deployment) {
    let Some(mut torn) = Torn::on(&deployment).await else { return };
    torn.tear(true);
    // All that is lacking is sent, and again some partitions show it and others don't.
    let second = torn.second.clone();
    let (shown, hidden): (Vec<Seen>, Vec<Seen>) = {
        let lacking = torn.every_other(1);
        let some = lacking[0].partition;
        lacking.into_iter().partition(|event| event.partition == some)
    };
    assert!(!hidden.is_empty());
    torn.commit(&shown, None);
    torn.abort(&hidden, Some(&second));
    torn.assert_mended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_it_mends_changes_nothing() {
    for is_told in [false, true] {
        let deployment = Deployment::sqlite().await;
        let Some(mut torn) = Torn::on(&deployment).await else { return };
        torn.tear(is_told);
        let before = torn.done.records().await;
        let (reached, mut before_commit) = tokio::sync::watch::channel(());
        let observer = move |step| {
            if step == Step::BeforeCommit {
                reached.send_replace(());
                // Until it has been told to stop.
                std::thread::sleep(Duration::from_millis(300));
            }
        };
        let settings = ExportSettings { observer: Some(Arc::new(observer)), ..torn.done.settings.clone() };
        let export = Export::start(settings, &torn.done.views);
        before_commit.changed().await.unwrap();
        export.shutdown().await;
        assert_eq!(torn.done.records().await, before);
        torn.assert_mended().await;
    }
}

/// The topic was made anew, for example, since somebody tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_transaction_of_which_nothing_is_there_is_not_waited_for() {
    let deployment = Deployment::sqlite().await;
    let Some(mut torn) = Torn::on(&deployment).await else { return };
    let beyond = |partition| (partition, Written { offset: 10_000, position: torn.second.position });
    torn.second.written = (0..torn.done.settings.partitions).map(beyond).collect();
    let second = torn.second.clone();
    torn.abort(&[], Some(&second));
    torn.assert_mended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_the_log_does_not_have_are_not_taken_for_a_part_of_it() {
    let deployment = Deployment::sqlite().await;
    let Some(mut torn) = Torn::on(&deployment).await else { return };
    // As if the database had been restored from before the second transaction, and gone on with other events.
    for event in &mut torn.events {
        let id = event.headers.iter_mut().find(|(key, _)| key == "ce_id").unwrap();
        id.1 = uuid::Uuid::now_v7().to_string();
    }
    torn.tear(false);
    let before = torn.done.records().await;
    let export = Export::start(torn.done.settings.clone(), &torn.done.views);
    let said = stopped(&export, "the log has another event at position").await;
    assert!(said.contains("tenure billing resume"), "{said}");
    assert_eq!(torn.done.records().await, before);
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rescan_does_not_skip_what_some_partitions_lack() {
    let deployment = Deployment::sqlite().await;
    let Some(mut torn) = Torn::on(&deployment).await else { return };
    torn.tear(true);
    // Another reason to stop.
    let beyond = Progress { position: torn.second.position + 1_000, ..torn.second.clone() };
    let copy = serde_json::to_string(&beyond).unwrap();
    deployment.meddle_with_views(&format!("update {{}}exports set progress = '{copy}'")).await;
    let export = Export::start(torn.done.settings.clone(), &torn.done.views);
    stopped(&export, "was exported already: it lost records").await;
    torn.done.refused(&export, Order::Rescan, "some partitions of the topic lack events").await;
    export.shutdown().await;
    torn.remember(&deployment).await;
    torn.assert_mended().await;
}

/// A running export finds out by itself: nothing else might happen for a long time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_readers_do_not_see_is_noticed_while_the_export_runs() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let settings = ExportSettings { transaction_timeout: Duration::from_secs(1), ..done.settings.clone() };
    let export = Export::start(settings, &done.views);
    caught_up(&export, &done.world).await;
    // It looks like one of this cell's, and hides what comes behind it.
    let source = done.settings.source();
    let open = open_transaction_with(&done.brokers, &done.settings.topic, &[("ce_source", &source)]);
    customers(&mut done.world, 6).await;
    caught_up(&export, &done.world).await;
    says(&export, ExportState::Connecting, "has been open for more than").await;
    open.abort_transaction(PATIENCE).unwrap();
    customers(&mut done.world, 1).await;
    caught_up(&export, &done.world).await;
    assert_exported(&done.views, &done.settings, &done.brokers).await;
    assert_eq!(of_the_log(&done.views).await.len(), 13);
    export.shutdown().await;
}
