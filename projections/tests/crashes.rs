//! Whatever breaks off, the views go on from their checkpoints: nothing is lost, nothing is applied twice.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tenure_event_log::{EventLog, Position};
use tenure_projections::{Views, ViewsConfig};
use tokio::runtime::Runtime;

use crate::deployment::{Deployment, Place, eventually, passed};
use crate::tables::dump;
use crate::world::World;

on_both_engines!(broken_off_again_and_again_the_views_come_out_the_same, a_restart_is_ready_when_it_has_caught_up);

async fn broken_off_again_and_again_the_views_come_out_the_same(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    for _ in 0..400 {
        world.something().await;
    }
    log.shutdown().await;
    drop(log);
    let deployment = Arc::new(deployment);
    let mut last = Position::START;
    for _ in 0..12 {
        let deployment = Arc::clone(&deployment);
        last = tokio::task::spawn_blocking(move || interrupted(&deployment)).await.unwrap();
    }
    assert!(last > Position::START, "the interrupted ones got somewhere");

    let (_log, views) = deployment.open().await;
    passed(&views, world.head).await;
    let continued = dump(&deployment).await;
    for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
        views.rebuild(view).await.unwrap();
    }
    assert_eq!(dump(&deployment).await, continued);
}

/// Runs the views on a runtime that is torn down under them; answers how far they had got.
fn interrupted(deployment: &Deployment) -> Position {
    let runtime = Runtime::new().unwrap();
    let reached = runtime.block_on(async {
        let log = deployment.log().await;
        let start = log.head().await.unwrap();
        let views = deployment.views_with(&log, |config| config.max_batch = 3).await;
        let before = views.position();
        eventually("a little is applied", async || {
            (views.position() >= start.min(Position::new(before.get() + 30))).then(|| views.position())
        })
        .await
    });
    runtime.shutdown_background();
    reached
}

async fn a_restart_is_ready_when_it_has_caught_up(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    for _ in 0..50 {
        world.something().await;
    }
    let views = Views::open(ViewsConfig::new(deployment.engine()), log.clone()).await.unwrap();
    assert!(views.position() < views.due());
    views.start();
    passed(&views, world.head).await;
    assert!(views.position() >= views.due());
    views.shutdown().await;

    let views = Views::open(ViewsConfig::new(deployment.engine()), log.clone()).await.unwrap();
    assert!(views.position() >= views.due(), "the checkpoints were kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_or_damaged_views_db_is_built_anew() {
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..100 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let before = dump(&deployment).await;
    views.shutdown().await;
    let Place::Sqlite(directory) = &deployment.place else { unreachable!("made on SQLite") };
    std::fs::remove_file(directory.path().join("views.db")).unwrap();
    let views = deployment.views(&log).await;
    passed(&views, world.head).await;
    assert_eq!(dump(&deployment).await, before);
    views.shutdown().await;
    std::fs::write(directory.path().join("views.db"), [7; 10_000]).unwrap();
    let views = deployment.views(&log).await;
    passed(&views, world.head).await;
    assert_eq!(dump(&deployment).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_ahead_of_a_restored_log_start_anew() {
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;
    views.shutdown().await;
    log.shutdown().await;
    drop((views, log, world));
    let Place::Sqlite(directory) = &deployment.place else { unreachable!("made on SQLite") };
    for file in ["log.db", "log.db-wal", "log.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join(file));
    }
    EventLog::migrate(&deployment.engine()).await.unwrap();
    let (log, views) = deployment.open().await;
    assert_eq!(views.position(), Position::START);
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;
    assert_eq!(dump(&deployment).await["tenants"].len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_and_views_that_lost_their_end_are_not_asked_for_it_without_a_pause() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;
    // As a standby that had got neither.
    let end = world.head;
    let lose = format!(
        "begin; set local session_replication_role = replica; delete from events where position = {end}; \
         update log_head set position = position - 1; update views.checkpoints set position = position - 1; commit"
    );
    deployment.meddle(&lose).await;
    eventually("the views fall back", async || (views.position() < end).then_some(())).await;
    let Place::Postgres(database) = &deployment.place else { unreachable!("made on PostgreSQL") };
    let mut observer = PgConnection::connect(database.url()).await.unwrap();
    let mut transactions = async || {
        let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut observer).await.unwrap()
    };
    let before = transactions().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let made = transactions().await - before;
    assert!(made < 800, "{made} transactions in four seconds");
}
