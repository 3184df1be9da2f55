//! The views' batches are not flushed: what a crash of the server undoes is applied again, by whoever runs already and
//! without another event.

use std::time::Duration;

use tenure_aggregates::tenant::Stage;
use tenure_event_log::{Clock, EngineConfig, EventLog, LogConfig, MasterKey};
use tenure_projections::{Views, ViewsConfig, tenants};
use tenure_test_engines::PostgresCluster;

use crate::deployment::{Deployment, eventually, passed};
use crate::tables::{dump, rows};
use crate::world::World;

/// Copies every table of the views, checkpoints too, from one schema to another.
fn copy(from: &str, to: &str, command: &str) -> String {
    format!(
        "do $$ declare name text; begin \
         for name in select table_name from information_schema.tables where table_schema = 'views' loop \
             {command} \
             execute format('insert into {to}.%I select * from {from}.%I', name, name); \
         end loop; end $$"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_forgot_is_applied_again() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..30 {
        world.something().await;
    }
    passed(&views, world.head).await;
    deployment.meddle("create schema kept").await;
    let make = "execute format('create table kept.%I (like views.%I including all)', name, name);";
    deployment.meddle(&copy("views", "kept", make)).await;
    for _ in 0..30 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let before = dump(&deployment).await;
    let older = format!("select name from kept.checkpoints where position < {}", world.head);
    assert_eq!(rows(&deployment, &older).await.len(), 6);
    deployment.meddle(&copy("kept", "views", "execute format('truncate views.%I', name);")).await;

    // Nothing else happens in the log.
    eventually("the views are where they were", async || (dump(&deployment).await == before).then_some(())).await;
    passed(&views, world.head).await;
    for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
        views.rebuild(view).await.unwrap();
    }
    assert_eq!(dump(&deployment).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_go_back_with_a_killed_server_and_come_again() {
    let mut cluster = PostgresCluster::start();
    let engine = EngineConfig::Postgres { url: cluster.url().into(), max_connections: 4 };
    EventLog::migrate(&engine).await.unwrap();
    let log = EventLog::open(LogConfig::new(engine.clone(), MasterKey::generate(), Clock::default())).await.unwrap();
    let views = Views::open(ViewsConfig::new(engine), log.clone()).await.unwrap();
    views.start();
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    passed(&views, world.head).await;
    for round in 0..4 {
        let expected = if round % 2 == 0 { Stage::Suspended } else { Stage::Active };
        if round == 2 {
            views.rebuild("tenants").await.unwrap();
        }
        let done = if round % 2 == 0 { world.suspend(tenant).await } else { world.reinstate(tenant).await };
        let done = done.unwrap();
        passed(&views, done).await;
        cluster.kill9();
        cluster.restart();
        // Whoever waits for it sees it or gets no answer: never what was there before.
        eventually("who waits gets an answer", async || {
            if !views.wait_for(done, Duration::from_secs(5)).await {
                return None;
            }
            let found = tenants::find(&views, world.msp, tenant).await.ok()?;
            assert_eq!(found.unwrap().status, expected, "round {round}");
            Some(())
        })
        .await;
        // Nothing else happens in the log.
        eventually("the view shows what was lost", async || {
            let found = tenants::find(&views, world.msp, tenant).await.ok()??;
            (found.status == expected).then_some(())
        })
        .await;
        eventually("the outage is over", async || {
            views.status().iter().all(|status| status.problem.is_none()).then_some(())
        })
        .await;
        passed(&views, world.head).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_follow_a_failover() {
    let mut primary = PostgresCluster::start();
    let standby = primary.standby();
    primary.wait_for_standbys();
    // The standby is named first, and passed over.
    let url = format!("postgres://tenure@127.0.0.1:{},127.0.0.1:{}/postgres", standby.port(), primary.port());
    let engine = EngineConfig::Postgres { url: url.into(), max_connections: 4 };
    EventLog::migrate(&engine).await.unwrap();
    let log = EventLog::open(LogConfig::new(engine.clone(), MasterKey::generate(), Clock::default())).await.unwrap();
    let views = Views::open(ViewsConfig::new(engine), log.clone()).await.unwrap();
    views.start();
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    passed(&views, world.head).await;
    primary.kill9();
    standby.promote();
    // The first command may still meet the pool's connections to the dead server.
    eventually("the log can be read again", async || log.head().await.ok()).await;
    world.suspend(tenant).await.unwrap();
    passed(&views, world.head).await;
    eventually("the view shows what was done after the failover", async || {
        let found = tenants::find(&views, world.msp, tenant).await.ok()??;
        (found.status == Stage::Suspended).then_some(())
    })
    .await;
}
