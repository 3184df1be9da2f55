//! Orders are for an export that stands still.

use tenure_event_log::Position;
use tenure_projections::export::{Export, Order, order};

use super::caught_up;
use super::doubts::Done;
use super::meddling::{delete, write};
use crate::deployment::{Deployment, Place, eventually};

on_both_engines!(an_order_that_nothing_waits_for_is_forgotten);

async fn waiting_orders(deployment: &Deployment) -> i64 {
    const SQL: &str = "select count(ordered) from";
    match &deployment.place {
        Place::Sqlite(directory) => {
            let connection = rusqlite::Connection::open(directory.path().join("views.db")).unwrap();
            connection.query_row(&format!("{SQL} exports"), [], |row| row.get(0)).unwrap()
        }
        Place::Postgres(database) => {
            use sqlx::Connection;
            let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
            sqlx::query_scalar(&format!("{SQL} views.exports")).fetch_one(&mut connection).await.unwrap()
        }
    }
}

async fn an_order_that_nothing_waits_for_is_forgotten(deployment: Deployment) {
    let Some(mut done) = Done::on(&deployment).await else { return };
    // Before it starts, and while it runs.
    order(&done.views, Order::From(Position::START)).await.unwrap();
    let export = Export::start(done.settings.clone(), &done.views);
    caught_up(&export, &done.world).await;
    assert_eq!(waiting_orders(&deployment).await, 0);
    order(&done.views, Order::From(Position::START)).await.unwrap();
    eventually("the order is forgotten", async || (waiting_orders(&deployment).await == 0).then_some(())).await;
    done.world.provision().await;
    caught_up(&export, &done.world).await;
    done.assert_exported().await;
    export.shutdown().await;
    // So that it does not wait for the day on which something does stop it.
    delete(&done.brokers, &done.settings.progress_topic).await;
    let export = done.start("the progress topic has no record").await;
    done.refused(&export, done.nowhere(), "the log ends at").await;
    done.resume(&export, Order::Rescan).await;
    done.assert_exported().await;
    export.shutdown().await;
}

/// Somebody else who writes to the topic makes its partitions end more than once while it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rescan_reads_every_partition_to_its_end() {
    let deployment = Deployment::sqlite().await;
    let Some(mut done) = Done::on(&deployment).await else { return };
    let tenants: Vec<_> = done.world.tenants.keys().copied().filter(|tenant| *tenant != done.world.msp).collect();
    let export = Export::start(done.settings.clone(), &done.views);
    for tenant in &tenants {
        done.world.toggle(*tenant, 2_000).await;
    }
    caught_up(&export, &done.world).await;
    export.shutdown().await;
    delete(&done.brokers, &done.settings.progress_topic).await;
    let export = done.start("the progress topic has no record").await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (brokers, topic) = (done.brokers.clone(), done.settings.topic.clone());
    let strangers = tokio::spawn(async move {
        let mut count = 0;
        while !*stopped.borrow() {
            write(&brokers, &topic, "a stranger's", Some("{}")).await;
            count += 1;
        }
        count
    });
    done.resume(&export, Order::Rescan).await;
    stop.send_replace(true);
    let strangers: usize = strangers.await.unwrap();
    let expected = super::comparison::of_the_log(&done.views).await.len();
    assert_eq!(done.records().await, expected + strangers, "of these {strangers} are somebody else's");
    export.shutdown().await;
}
