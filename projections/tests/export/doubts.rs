//! Each way in which the brokers disagree with the log: the export stops, says why, sends nothing, and goes on as ordered.

use std::sync::Arc;
use std::time::Duration;

use tenure_event_log::{EventLog, Position};
use tenure_projections::Views;
use tenure_projections::export::{Export, ExportSettings, Order, Progress, Step, order};
use tenure_test_engines::shared_kafka;

use super::comparison::{assert_exported, of_the_log};
use super::meddling::{create, delete, empty, raise_partitions, write};
use super::reader::read;
use super::{caught_up, customers, settings, stopped};
use crate::deployment::{Deployment, Place, passed};
use crate::world::World;

on_both_engines!(
    lost_progress_is_found_again_in_the_billing_topic,
    records_of_nobody_knows_when_are_not_added_to,
    progress_that_fell_back_is_told_by_its_copy,
    a_deleted_billing_topic_is_filled_anew_when_ordered,
    an_emptied_billing_topic_has_nothing_to_find,
);

/// An export that has done its work and stopped in order.
pub struct Done {
    pub brokers: String,
    pub settings: ExportSettings,
    pub log: EventLog,
    pub views: Views,
    pub world: World,
}

impl Done {
    pub async fn on(deployment: &Deployment) -> Option<Self> {
        Some(Self::with(deployment, settings(&shared_kafka()?)).await)
    }

    pub async fn with(deployment: &Deployment, settings: ExportSettings) -> Self {
        let brokers = settings.brokers.join(",");
        let (log, views) = deployment.open().await;
        let mut world = World::new(&log).await;
        customers(&mut world, 6).await;
        let export = Export::start(settings.clone(), &views);
        caught_up(&export, &world).await;
        export.shutdown().await;
        Self { brokers, settings, log, views, world }
    }

    /// Starts it again, after something was done to it; it stops and says this.
    pub async fn start(&mut self, reason: &str) -> Export {
        // What waits meanwhile.
        customers(&mut self.world, 2).await;
        passed(&self.views, self.world.head).await;
        let export = Export::start(self.settings.clone(), &self.views);
        let said = stopped(&export, reason).await;
        assert!(said.contains("tenure billing resume"), "what to do is said, too: {said}");
        export
    }

    /// Leaves an order that can't be what was meant.
    pub async fn refused(&self, export: &Export, nonsense: Order, because: &str) {
        order(&self.views, nonsense).await.unwrap();
        stopped(export, &format!("the order \"{nonsense}\" is refused: {because}")).await;
    }

    pub async fn resume(&self, export: &Export, order: Order) {
        tenure_projections::export::order(&self.views, order).await.unwrap();
        caught_up(export, &self.world).await;
    }

    pub async fn assert_exported(&self) {
        assert_exported(&self.views, &self.settings, &self.brokers).await;
    }

    /// How many records the billing topic has.
    pub async fn records(&self) -> usize {
        read(&self.brokers, &self.settings.topic).await.len()
    }

    /// Beyond everything.
    pub fn nowhere(&self) -> Order {
        Order::From(Position::new(self.world.head.get() + 1))
    }

    /// The last record of the progress topic.
    pub async fn progress(&self) -> Progress {
        let records = read(&self.brokers, &self.settings.progress_topic).await;
        serde_json::from_slice(records.last().unwrap().payload.as_ref().unwrap()).unwrap()
    }
}

async fn lost_progress_is_found_again_in_the_billing_topic(deployment: Deployment) {
    let Some(mut done) = Done::on(&deployment).await else { return };
    delete(&done.brokers, &done.settings.progress_topic).await;
    let export = done.start("the progress topic has no record").await;
    let before = done.records().await;
    done.refused(&export, done.nowhere(), "the log ends at").await;
    assert_eq!(done.records().await, before, "nothing is exported meanwhile");
    done.resume(&export, Order::Rescan).await;
    done.assert_exported().await;
    export.shutdown().await;

    // Made anew by somebody, empty.
    delete(&done.brokers, &done.settings.progress_topic).await;
    create(&done.brokers, &done.settings.progress_topic, 1, &[("cleanup.policy", "compact")]).await;
    let export = done.start("the progress topic has no record").await;
    done.resume(&export, Order::Rescan).await;
    done.assert_exported().await;
    export.shutdown().await;
    // It stays resumed.
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    export.shutdown().await;
}

async fn records_of_nobody_knows_when_are_not_added_to(deployment: Deployment) {
    let Some(mut done) = Done::on(&deployment).await else { return };
    delete(&done.brokers, &done.settings.progress_topic).await;
    deployment.meddle_with_views("update {}exports set progress = null").await;
    let export = done.start("the billing topic has records, but no progress is recorded").await;
    done.resume(&export, Order::Rescan).await;
    done.assert_exported().await;
    export.shutdown().await;
}

async fn progress_that_fell_back_is_told_by_its_copy(deployment: Deployment) {
    let Some(mut done) = Done::on(&deployment).await else { return };
    let last = done.progress().await;
    let earlier = &of_the_log(&done.views).await[1];
    let fell_back = Progress { position: earlier.position.get(), event_id: Some(earlier.event_id), ..last.clone() };
    let (key, value) = (done.settings.transactional_id(), serde_json::to_string(&fell_back).unwrap());
    write(&done.brokers, &done.settings.progress_topic, &key, Some(&value)).await;
    let export = done.start(&format!("but position {} was exported already", last.position)).await;
    done.resume(&export, Order::From(last.position())).await;
    done.assert_exported().await;
    export.shutdown().await;
}

async fn a_deleted_billing_topic_is_filled_anew_when_ordered(deployment: Deployment) {
    let Some(mut done) = Done::on(&deployment).await else { return };
    delete(&done.brokers, &done.settings.topic).await;
    let export = done.start("the billing topic is gone").await;
    done.refused(&export, Order::Rescan, "there is no billing topic").await;
    done.resume(&export, Order::From(Position::START)).await;
    done.assert_exported().await;
    export.shutdown().await;
}

async fn an_emptied_billing_topic_has_nothing_to_find(deployment: Deployment) {
    let Some(mut done) = Done::on(&deployment).await else { return };
    empty(&done.brokers, &done.settings.topic, done.settings.partitions).await;
    let export = done.start("the billing topic is empty").await;
    done.refused(&export, Order::Rescan, "the billing topic has no event of this cell").await;
    assert_eq!(done.records().await, 0);
    done.resume(&export, Order::From(Position::START)).await;
    done.assert_exported().await;
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_partitions_are_taken_only_when_ordered() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    raise_partitions(&done.brokers, &done.settings.topic, 8).await;
    let export = done.start("has 8 partitions and had 6").await;
    // The settings still say 6.
    order(&done.views, Order::Rescan).await.unwrap();
    stopped(&export, "kafka_partitions says 6").await;
    export.shutdown().await;
    let before = done.records().await;
    done.settings.partitions = 8;
    // The order still stands.
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    assert_eq!(done.records().await, before + 2);
    assert_eq!(done.records().await, of_the_log(&done.views).await.len());
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_of_another_topic_says_nothing_about_this_one() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    done.settings.topic = format!("{}.v2", done.settings.topic);
    let export = done.start("the progress is that of another billing topic").await;
    done.resume(&export, Order::From(Position::START)).await;
    done.assert_exported().await;
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_that_somebody_deleted_or_scribbled_over_is_a_doubt_that_an_order_ends() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let (key, topic) = (done.settings.transactional_id(), done.settings.progress_topic.clone());
    write(&done.brokers, &topic, &key, None).await;
    let export = done.start("the progress topic has no record").await;
    done.resume(&export, Order::Rescan).await;
    export.shutdown().await;
    write(&done.brokers, &topic, &key, Some("scribble")).await;
    let export = done.start("is not a progress record").await;
    done.resume(&export, Order::Rescan).await;
    export.shutdown().await;
    // Another cell's records are none of our business.
    write(&done.brokers, &topic, "tenure-billing-elsewhere", Some("scribble")).await;
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    done.assert_exported().await;
    export.shutdown().await;
}

/// Otherwise nobody would notice if the progress topic lost its last record meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_between_commit_and_copy_waits_for_the_copy() {
    let deployment = Deployment::sqlite().await;
    let Place::Sqlite(directory) = &deployment.place else { unreachable!("made on SQLite") };
    let Some(mut done) = Done::on(&deployment).await else { return };
    let (reached, mut before_copy) = tokio::sync::watch::channel(());
    let observer = move |step| {
        if step == Step::BeforeCopy {
            reached.send_replace(());
            // Until it has been told to stop.
            std::thread::sleep(Duration::from_millis(300));
        }
    };
    let settings = ExportSettings { observer: Some(Arc::new(observer)), ..done.settings.clone() };
    let export = Export::start(settings, &done.views);
    customers(&mut done.world, 1).await;
    before_copy.changed().await.unwrap();
    export.shutdown().await;
    let connection = rusqlite::Connection::open(directory.path().join("views.db")).unwrap();
    let copy: String = connection.query_row("select progress from exports", [], |row| row.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Progress>(&copy).unwrap(), done.progress().await);
}
