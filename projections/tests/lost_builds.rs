//! Builds that others have to do with: a swap whose answer is lost, one that was counted as abandoned, two of one view, and
//! a release that was not heard of.

use std::error::Error;
use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tenure_event_log::{Clock, EngineConfig, EventLog, LogConfig, MasterKey};
use tenure_projections::{RebuildError, Views, ViewsConfig, tenants};
use tenure_test_engines::PostgresCluster;
use tokio::task::JoinHandle;

use crate::deployment::{Deployment, Place, eventually, passed};
use crate::tables::{generations, rows};
use crate::world::World;

/// After so long a build, or a release, counts as abandoned.
const LONG_AGO: &str = "(extract(epoch from clock_timestamp()) - 660) * 1000000";

async fn session(deployment: &Deployment) -> PgConnection {
    let Place::Postgres(database) = &deployment.place else { unreachable!("made on PostgreSQL") };
    PgConnection::connect(database.url()).await.unwrap()
}

type Outcomes = Vec<(&'static str, Result<(), RebuildError>)>;

/// Begins a rebuild that gets no event to apply while the log is locked; returns once its generations are there.
async fn begun(deployment: &Deployment, views: &Views, names: &'static [&'static str]) -> JoinHandle<Outcomes> {
    let views = views.clone();
    let rebuild = tokio::spawn(async move { views.rebuild_together(names).await.unwrap() });
    eventually("the build has begun", async || {
        let there = generations(deployment).await;
        names.iter().all(|name| there.contains(&format!("{name}_v2"))).then_some(())
    })
    .await;
    rebuild
}

/// Waits until a session of a projector waits for this.
async fn waits(session: &mut PgConnection, event: &str) -> i32 {
    eventually(&format!("a projector waits for {event}"), async || {
        let sql =
            "select pid from pg_stat_activity where wait_event = $1 and application_name = 'tenure projector' limit 1";
        sqlx::query_scalar::<_, i32>(sql).bind(event).fetch_optional(&mut *session).await.unwrap()
    })
    .await
}

/// How many customers the MSP has, in whatever stage.
async fn customers(views: &Views, world: &World) -> u64 {
    tenants::totals(views, world.msp).await.unwrap().iter().map(|(_, tenants)| tenants).sum()
}

/// What it says is wrong, with its cause.
fn why(outcome: &Result<(), RebuildError>) -> String {
    let error = outcome.as_ref().unwrap_err();
    format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_whose_answer_is_lost_has_happened() {
    let cluster = PostgresCluster::start();
    let engine = EngineConfig::Postgres { url: cluster.url().into(), max_connections: 4 };
    EventLog::migrate(&engine).await.unwrap();
    let log = EventLog::open(LogConfig::new(engine.clone(), MasterKey::generate(), Clock::default())).await.unwrap();
    let views = Views::open(ViewsConfig::new(engine.clone()), log.clone()).await.unwrap();
    views.start();
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;

    let mut operator = PgConnection::connect(&cluster.url()).await.unwrap();
    let mut holder = PgConnection::connect(&cluster.url()).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    held.execute("select position from views.checkpoints where name = 'tenants_v1' for update").await.unwrap();
    let rebuilding = views.clone();
    let rebuild = tokio::spawn(async move { rebuilding.rebuild("tenants").await });
    waits(&mut operator, "transactionid").await;
    // Its commit will wait for a standby that is not there, and be cut off: it stands all the same.
    operator.execute("alter system set synchronous_standby_names = '*'").await.unwrap();
    operator.execute("select pg_reload_conf()").await.unwrap();
    eventually("the server waits for standbys", async || {
        let set: String = sqlx::query_scalar("show synchronous_standby_names").fetch_one(&mut operator).await.unwrap();
        (set == "*").then_some(())
    })
    .await;
    held.rollback().await.unwrap();
    let process = waits(&mut operator, "SyncRep").await;
    sqlx::query("select pg_terminate_backend($1)").bind(process).execute(&mut operator).await.unwrap();
    rebuild.await.unwrap().unwrap();

    operator.execute("alter system reset synchronous_standby_names").await.unwrap();
    operator.execute("select pg_reload_conf()").await.unwrap();
    assert_eq!(views.status()[0].generation, 2);
    world.provision().await;
    passed(&views, world.head).await;
    assert_eq!(customers(&views, &world).await, 2);
    // Whoever starts now finds it, too.
    let other = Views::open(ViewsConfig::new(engine), log.clone()).await.unwrap();
    assert_eq!(other.status()[0].generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pointer_that_points_at_nothing_is_set_anew() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;
    views.shutdown().await;
    deployment.meddle("delete from views.checkpoints where name = 'tenants_v1'").await;
    let views = deployment.views(&log).await;
    passed(&views, world.head).await;
    assert_eq!(customers(&views, &world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_counted_as_abandoned_is_not_put_in_place() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;

    let (mut one, mut two) = (session(&deployment).await, session(&deployment).await);
    let mut locked_log = one.begin().await.unwrap();
    locked_log.execute("lock table events in access exclusive mode").await.unwrap();
    let rebuild = begun(&deployment, &views, &["deadlines", "links"]).await;
    // One can't be indexed; the other waits for it.
    let mut locked_table = two.begin().await.unwrap();
    locked_table.execute("lock table views.deadlines_v2 in row exclusive mode").await.unwrap();
    locked_log.rollback().await.unwrap();
    waits(&mut session(&deployment).await, "relation").await;
    let long_ago =
        format!("update views.generations set touched_at = {LONG_AGO} where view_name = 'links' and generation = 2");
    deployment.meddle(&long_ago).await;
    // The first thing that another instance does.
    let other = deployment.views(&log).await;
    eventually("the build is dropped", async || {
        (!generations(&deployment).await.contains(&"links_v2".to_owned())).then_some(())
    })
    .await;
    locked_table.rollback().await.unwrap();

    let outcomes = rebuild.await.unwrap();
    for (name, outcome) in &outcomes {
        match *name {
            "links" => assert!(why(outcome).contains("not heard of for so long"), "{}", why(outcome)),
            _ => assert!(outcome.is_ok(), "{name}: {outcome:?}"),
        }
    }
    assert_eq!(outcomes.len(), 2);
    let pointed =
        rows(&deployment, "select view_name, generation from {}pointers where view_name in ('links', 'deadlines')")
            .await;
    assert_eq!(pointed, ["deadlines|2", "links|1"]);
    world.something().await;
    passed(&views, world.head).await;
    passed(&other, world.head).await;
    views.rebuild("links").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rebuilds_the_one_that_began_later_stays() {
    let deployment = Deployment::postgres().await;
    let (log, slow) = deployment.open().await;
    let fast = deployment.views(&log).await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&slow, world.head).await;

    let (mut one, mut two) = (session(&deployment).await, session(&deployment).await);
    let mut locked_log = one.begin().await.unwrap();
    locked_log.execute("lock table events in access exclusive mode").await.unwrap();
    let rebuild = begun(&deployment, &slow, &["tenants"]).await;
    let mut locked_build = two.begin().await.unwrap();
    let row = "select 1 from views.generations where view_name = 'tenants' and generation = 2 for update";
    locked_build.execute(row).await.unwrap();
    locked_log.rollback().await.unwrap();
    fast.rebuild("tenants").await.unwrap();
    locked_build.rollback().await.unwrap();

    let outcomes = rebuild.await.unwrap();
    assert!(why(&outcomes[0].1).contains("another process has rebuilt the view"), "{}", why(&outcomes[0].1));
    for _ in 0..10 {
        world.provision().await;
    }
    for views in [&slow, &fast] {
        passed(views, world.head).await;
        assert_eq!(customers(views, &world).await, 11);
        eventually("both read the later one", async || (views.status()[0].generation == 3).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_was_given_up_builds_its_views_anew() {
    let deployment = Deployment::postgres().await;
    let (log, older) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&older, world.head).await;
    let first = older.status().iter().map(|status| status.generation).max().unwrap();
    // As if all of its instances had been frozen for long, and one of a newer release cleared up.
    deployment.meddle(&format!("update views.pointers set seen_at = {LONG_AGO}")).await;
    let newer = deployment.views_with(&log, |config| config.versions_ahead = 1).await;
    eventually("the older release's views are begun anew", async || {
        older.status().iter().all(|status| status.generation > first).then_some(())
    })
    .await;
    // What is waited for is there, and nothing that was known before counts for the new tables.
    for (views, provisioned) in [(&older, 2), (&newer, 3)] {
        world.provision().await;
        passed(views, world.head).await;
        assert_eq!(customers(views, &world).await, provisioned);
    }
    tokio::time::timeout(Duration::from_secs(10), older.shutdown()).await.unwrap();
}
