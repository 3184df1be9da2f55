//! No transaction of ours stays open, whatever goes on: an old one keeps `PostgreSQL` from cleaning up.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tenure_test_engines::old_transactions;

use crate::deployment::{Deployment, Place, passed};
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_transaction_stays_open() {
    let deployment = Deployment::postgres().await;
    let Place::Postgres(database) = &deployment.place else { unreachable!("made on PostgreSQL") };
    let mut observer = PgConnection::connect(database.url()).await.unwrap();
    let work = async {
        let (log, views) = deployment.open().await;
        let mut world = World::new(&log).await;
        let busy = world.provision().await;
        for _ in 0..60 {
            world.provision().await;
            world.report_often(busy, 50).await;
        }
        passed(&views, world.head).await;
        for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
            views.rebuild(view).await.unwrap();
        }
        // Nothing goes on, and nothing is open.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    };
    tokio::pin!(work);
    let mut looks = 0;
    loop {
        tokio::select! {
            () = &mut work => break,
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                let old = old_transactions(&mut observer).await;
                assert!(old.is_empty(), "{old:?}");
                looks += 1;
            }
        }
    }
    assert!(looks > 20, "{looks}");

    // One that does stay open is seen.
    let mut open = PgConnection::connect(database.url()).await.unwrap();
    open.execute("begin; select count(*) from events").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(old_transactions(&mut observer).await.len(), 1);
}
