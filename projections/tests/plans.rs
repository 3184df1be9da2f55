//! Statements are planned while the views' tables are small, and must not scan what has grown since.

use tenure_test_engines::rows_read;

use crate::deployment::{Deployment, Place, passed};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_reads_no_more_rows_as_its_tables_grow() {
    const ROUNDS: i64 = 200;
    let deployment = Deployment::postgres().await;
    let Place::Postgres(database) = &deployment.place else { unreachable!("there is no other") };
    // Two take turns, so that rows are loaded again and again.
    let (first_log, first) = deployment.open().await;
    let (second_log, second) = deployment.open().await;
    let mut world = World::new(&first_log).await;
    for round in 0..ROUNDS {
        world.log = if round % 2 == 0 { first_log.clone() } else { second_log.clone() };
        let views = if round % 3 == 0 { &first } else { &second };
        let tenant = world.provision().await;
        passed(views, world.head).await;
        world.report(tenant, 3, 2).await;
        world.subscribe(tenant, "P1").await;
        let token = world.make_token(tenant).await;
        passed(views, world.head).await;
        world.revoke_token(token).await;
        world.invite(tenant).await;
        world.suspend(tenant).await;
        world.deprovision(tenant).await;
        world.restore(tenant).await;
        passed(views, world.head).await;
        if [2, 10, 30, 60, 100].contains(&round) {
            // As the server does by itself now and then: whatever is planned next is planned for small tables.
            deployment.meddle("analyze").await;
        }
    }
    for (views, log) in [(first, first_log), (second, second_log)] {
        views.shutdown().await;
        log.shutdown().await;
    }

    let mut read = rows_read(database.url(), "views").await;
    // The other tables have a few rows each, which are asked for all the time.
    read.retain(|(table, _)| table.ends_with("_v1"));
    assert!(read.iter().any(|(table, rows)| table == "tenants_v1" && *rows > ROUNDS), "{read:?}");
    assert!(read.iter().all(|(_, rows)| rows / ROUNDS < 40), "rows read in {ROUNDS} rounds: {read:?}");
}
