//! Statements are planned while the views' tables are empty, and must not scan what has grown since.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

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
    }
    for (views, log) in [(first, first_log), (second, second_log)] {
        views.shutdown().await;
        log.shutdown().await;
    }

    // A session's figures are there at the latest when it has ended.
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut read = Vec::<(String, i64)>::new();
    for _ in 0..100 {
        let figures = "select relname::text, n_tup_ins::bigint, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
                           + (select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes i where i.relid = t.relid)
                       from pg_stat_user_tables t where schemaname = 'views' and relname ~ '_v[0-9]+$' order by 1";
        let tables: Vec<(String, i64, i64)> = sqlx::query_as(figures).fetch_all(&mut connection).await.unwrap();
        let inserted: i64 = tables.iter().filter(|table| table.0.starts_with("tenants_v")).map(|table| table.1).sum();
        read = tables.into_iter().map(|(table, _, read)| (table, read / ROUNDS)).collect();
        if inserted >= ROUNDS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(read.len() > 5, "{read:?}");
    assert!(read.iter().all(|(_, rows)| *rows < 60), "rows read in each round: {read:?}");
}
