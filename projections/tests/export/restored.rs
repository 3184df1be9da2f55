//! A database that is not the one that was exported from: restored from an older copy, or another one altogether.

use std::path::Path;

use tenure_event_log::Position;
use tenure_projections::export::{Export, ExportState, Order};

use super::doubts::Done;
use super::{caught_up, customers, says};
use crate::deployment::{Deployment, Place, passed};
use crate::world::World;

on_both_engines!(the_database_of_another_log_is_noticed);

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Closes everything, puts the copy in its place and opens it again.
async fn restore(deployment: &Deployment, mut done: Done, older: &Path) -> Done {
    let Place::Sqlite(directory) = &deployment.place else { unreachable!("made on SQLite") };
    done.views.shutdown().await;
    done.log.shutdown().await;
    for file in std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        std::fs::remove_file(file.path()).unwrap();
    }
    copy(older, directory.path());
    (done.log, done.views) = deployment.open().await;
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_restored_from_an_older_copy_is_not_exported_from_before_somebody_says_so() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let Place::Sqlite(directory) = &deployment.place else { unreachable!("made on SQLite") };
    let older = tempfile::tempdir().unwrap();
    done.views.shutdown().await;
    done.log.shutdown().await;
    copy(directory.path(), older.path());
    (done.log, done.views) = deployment.open().await;
    done.world.log = done.log.clone();
    let restored_to = done.world.head;
    customers(&mut done.world, 4).await;
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    export.shutdown().await;
    let exported = done.records().await;

    // Shorter than what was exported.
    let mut done = restore(&deployment, done, older.path()).await;
    done.world = World::new(&done.log).await;
    let export = Export::start(done.settings.clone(), &done.views);
    super::stopped(&export, "was the database restored from a backup?").await;
    super::stopped(&export, &format!("but the log ends at {}", done.world.head)).await;
    done.refused(&export, Order::Rescan, "the log's event at position").await;
    export.shutdown().await;

    // Then it grows past it, with other events.
    let export = {
        customers(&mut done.world, 6).await;
        done.start("the log has another event at position").await
    };
    done.refused(&export, Order::Rescan, "the log's event at position").await;
    assert_eq!(done.records().await, exported, "nothing is exported meanwhile");
    done.resume(&export, Order::From(restored_to)).await;
    assert_eq!(done.records().await, exported + 8, "six customers and two");
    export.shutdown().await;
}

/// Under a running export, as after a failover that lost the last commits: it does not wait for a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_exported_event_is_looked_for_at_each_page() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    let last = done.progress().await.position;
    deployment.meddle_with_views(&format!("delete from {{}}billing_events_v1 where position = {last}")).await;
    done.world.provision().await;
    passed(&done.views, done.world.head).await;
    // The log still has it: the view is only behind, and is waited for.
    says(&export, ExportState::Exporting, "the billing view does not show the event").await;
    let before = done.records().await;
    done.views.rebuild("billing").await.unwrap();
    caught_up(&export, &done.world).await;
    assert_eq!(export.status().reason, None);
    assert_eq!(done.records().await, before + 1);
    done.assert_exported().await;
    export.shutdown().await;
}

async fn the_database_of_another_log_is_noticed(deployment: Deployment) {
    let Some(done) = Done::on(&deployment).await else { return };
    let other = match deployment.place {
        Place::Sqlite(_) => Deployment::sqlite().await,
        Place::Postgres(_) => Deployment::postgres().await,
    };
    let (log, views) = other.open().await;
    let world = World::new(&log).await;
    let mut done = Done { log, views, world, ..done };
    let before = done.records().await;
    let export = done.start("the progress is that of another log").await;
    done.refused(&export, Order::Rescan, "").await;
    assert_eq!(done.records().await, before);
    done.resume(&export, Order::From(Position::START)).await;
    assert_eq!(done.records().await, before + 2);
    export.shutdown().await;
}
