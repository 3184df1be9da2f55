//! A billing topic that is not the one that was written to, though it has its name: made anew under a running export or
//! while nothing ran.

use tenure_event_log::Position;
use tenure_projections::export::{Export, ExportSettings, ExportState, Order};
use tenure_test_engines::shared_kafka;

use super::comparison::of_the_log;
use super::doubts::Done;
use super::meddling::{create, delete, empty, write};
use super::{caught_up, settings, stopped};
use crate::deployment::Deployment;

const NOT_THERE: &str = "was the topic made anew, or did it lose records?";

impl Done {
    /// As somebody does it by hand, with the settings that it had.
    async fn make_topic_anew(&self) {
        let (brokers, topic) = (&self.brokers, &self.settings.topic);
        delete(brokers, topic).await;
        let retention = self.settings.retention_ms.to_string();
        create(brokers, topic, self.settings.partitions, &[("retention.ms", &retention)]).await;
    }

    /// Events of every customer that there is, in every partition that has records.
    async fn go_on(&mut self) {
        let tenants: Vec<_> = self.world.tenants.keys().copied().filter(|tenant| *tenant != self.world.msp).collect();
        for tenant in tenants {
            self.world.toggle(tenant, 2).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_billing_topic_that_is_made_anew_under_a_running_export_is_noticed_at_the_next_events() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let export = Export::start(done.settings.clone(), &done.views);
    done.go_on().await;
    caught_up(&export, &done.world).await;
    done.make_topic_anew().await;
    assert_eq!(export.status().state, ExportState::Exporting, "nobody has noticed yet");
    done.go_on().await;
    let said = stopped(&export, NOT_THERE).await;
    assert!(said.contains("tenure billing resume"), "{said}");
    assert_eq!(done.records().await, 0, "nothing is exported meanwhile");
    export.shutdown().await;
    // The aborted records are no reason to go on.
    let export = done.start(NOT_THERE).await;
    done.refused(&export, Order::Rescan, "the event of position").await;
    done.resume(&export, Order::From(Position::START)).await;
    done.assert_exported().await;
    done.go_on().await;
    caught_up(&export, &done.world).await;
    done.assert_exported().await;

    // Once more; this time nothing is restarted.
    done.make_topic_anew().await;
    done.go_on().await;
    stopped(&export, NOT_THERE).await;
    done.resume(&export, Order::From(Position::START)).await;
    done.assert_exported().await;
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_billing_topic_that_others_have_filled_meanwhile_is_not_taken_for_the_one_before() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    done.make_topic_anew().await;
    let strangers = 50;
    for _ in 0..strangers {
        write(&done.brokers, &done.settings.topic, "a stranger's", Some("{}")).await;
    }
    let export = done.start(NOT_THERE).await;
    assert_eq!(done.records().await, strangers);
    done.resume(&export, Order::From(Position::START)).await;
    assert_eq!(done.records().await, strangers + of_the_log(&done.views).await.len());
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_of_an_earlier_release_says_nothing_about_records_and_is_taken() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let mut progress = done.progress().await;
    assert!(!progress.written.is_empty());
    progress.written.clear();
    let (key, value) = (done.settings.transactional_id(), serde_json::to_string(&progress).unwrap());
    write(&done.brokers, &done.settings.progress_topic, &key, Some(&value)).await;
    let export = Export::start(done.settings.clone(), &done.views);
    done.go_on().await;
    caught_up(&export, &done.world).await;
    done.assert_exported().await;
    export.shutdown().await;
    let progress = done.progress().await;
    assert_eq!(progress.written.values().map(|record| record.position).max(), Some(progress.position));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_gone_for_their_age_are_not_missed() {
    let deployment = Deployment::sqlite().await;
    let Some(brokers) = shared_kafka() else { return };
    let settings = ExportSettings { retention_ms: 3_600_000, ..settings(&brokers) };
    let mut done = Done::with(&deployment, settings).await;
    // What the brokers do themselves after an hour.
    empty(&done.brokers, &done.settings.topic, done.settings.partitions).await;
    let export = Export::start(done.settings.clone(), &done.views);
    let before = done.world.head;
    done.go_on().await;
    caught_up(&export, &done.world).await;
    let since = of_the_log(&done.views).await.into_iter().filter(|event| event.position > before).count();
    assert_eq!(done.records().await, since);
    export.shutdown().await;
}
