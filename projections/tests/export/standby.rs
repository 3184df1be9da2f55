//! What an instance that waits for its turn costs the database, and that it still gets its turn.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tenure_projections::export::{Export, ExportState};
use tenure_test_engines::shared_kafka;

use super::comparison::assert_exported;
use super::{caught_up, settings};
use crate::deployment::{Deployment, Place, eventually};
use crate::world::World;

/// In which a waiting instance looks several times whether its turn has come.
const A_WHILE: Duration = Duration::from_secs(5);

async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

/// Connections that were ever made to the database.
async fn connections(connection: &mut PgConnection) -> i64 {
    number(connection, "select sessions from pg_stat_database where datname = current_database()").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_instance_keeps_one_connection_and_takes_its_turn_even_when_that_was_cut() {
    let Some(brokers) = shared_kafka() else { return };
    let deployment = Deployment::postgres().await;
    let Place::Postgres(database) = &deployment.place else { unreachable!("made on PostgreSQL") };
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    let settings = settings(&brokers);
    let first = Export::start(settings.clone(), &views);
    caught_up(&first, &world).await;
    let second = Export::start(settings.clone(), &views);
    eventually("the second one waits", async || (second.status().state == ExportState::Standby).then_some(())).await;

    // The time itself is what is looked at.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = connections(&mut connection).await;
    tokio::time::sleep(A_WHILE).await;
    let made = connections(&mut connection).await - before;
    assert!(made <= 2, "{made} new connections in {A_WHILE:?}; the views' own housekeeping makes one now and then");
    let waiting = "select count(*) from pg_stat_activity where application_name = 'tenure projector' \
                   and datname = current_database() and (backend_xmin is not null or state <> 'idle')";
    eventually("nothing is held", async || (number(&mut connection, waiting).await == 0).then_some(())).await;

    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
               where application_name = 'tenure projector' and datname = current_database()";
    assert!(number(&mut connection, cut).await >= 2);
    first.shutdown().await;
    world.provision().await;
    caught_up(&second, &world).await;
    assert_exported(&views, &settings, &brokers).await;
    second.shutdown().await;
}
