//! A lone broker that dies right after it acknowledged a commit can forget to end the transaction in its partitions: readers of
//! what is committed would never get past it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tenure_projections::export::{Export, ExportSettings, Step};
use tenure_test_engines::{KafkaBroker, shared_kafka};

use super::comparison::{assert_exported, shown};
use super::{caught_up, customers, settings};
use crate::deployment::{Deployment, passed};
use crate::world::World;

/// Not each of them finds the broker at that moment.
const KILLS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_broker_that_dies_right_after_a_commit_hides_no_event() {
    if shared_kafka().is_none() {
        return;
    }
    let mut broker = KafkaBroker::start().await;
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenants = customers(&mut world, 8).await;

    let armed = Arc::new(AtomicBool::new(false));
    let (committed, mut commits) = tokio::sync::mpsc::unbounded_channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let is_armed = Arc::clone(&armed);
    let observer = move |step| {
        if step == Step::AfterCommit && is_armed.swap(false, Ordering::SeqCst) {
            committed.send(()).unwrap();
            // The export goes on when the broker is dead.
            released.lock().unwrap().recv_timeout(Duration::from_secs(30)).unwrap();
        }
    };
    let settings = ExportSettings {
        transaction_timeout: Duration::from_secs(4),
        observer: Some(Arc::new(observer)),
        ..settings(&broker.bootstrap())
    };
    let export = Export::start(settings.clone(), &views);
    caught_up(&export, &world).await;
    for _ in 0..KILLS {
        armed.store(true, Ordering::SeqCst);
        for tenant in &tenants {
            world.toggle(*tenant, 20).await;
        }
        commits.recv().await.unwrap();
        broker.kill().await;
        release.send(()).unwrap();
        broker.restart().await;
        caught_up(&export, &world).await;
    }
    passed(&views, world.head).await;
    shown(&views, &settings, &broker.bootstrap()).await;
    assert_exported(&views, &settings, &broker.bootstrap()).await;
    export.shutdown().await;
}
