//! Several instances on one PostgreSQL: whoever gets the checkpoint applies the batch, everybody knows when it is done.

use std::time::Duration;

use tenure_projections::tenants;

use crate::deployment::{Deployment, passed};
use crate::tables::dump;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_share_the_work_and_both_answer() {
    let deployment = Deployment::postgres().await;
    let (first_log, first) = deployment.open().await;
    let (second_log, second) = deployment.open().await;
    let mut world = World::new(&first_log).await;
    for round in 0..120 {
        world.log = if round % 2 == 0 { first_log.clone() } else { second_log.clone() };
        world.something().await;
        let views = if round % 3 == 0 { &first } else { &second };
        passed(views, world.head).await;
    }
    passed(&first, world.head).await;
    passed(&second, world.head).await;
    let shared = dump(&deployment).await;
    for view in ["tenants", "billing", "deadlines", "usage"] {
        first.rebuild(view).await.unwrap();
    }
    assert_eq!(dump(&deployment).await, shared);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_follows_a_rebuild_of_another() {
    let deployment = Deployment::postgres().await;
    let (first_log, first) = deployment.open().await;
    let (_second_log, second) = {
        let log = deployment.log().await;
        let views = deployment.views_with(&log, |config| config.drop_after_ms = 100).await;
        (log, views)
    };
    let mut world = World::new(&first_log).await;
    for _ in 0..3 {
        let tenant = world.provision().await;
        passed(&first, world.head).await;
        second.rebuild("tenants").await.unwrap();
        // The old tables may be gone before the other instance has heard of it.
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert!(tenants::find(&first, world.msp, tenant).await.unwrap().is_some());
        world.suspend(tenant).await.unwrap();
        passed(&first, world.head).await;
        passed(&second, world.head).await;
        for views in [&first, &second] {
            let found = tenants::find(views, world.msp, tenant).await.unwrap().unwrap();
            assert!(found.suspended_at.is_some());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_left_takes_over() {
    let deployment = Deployment::postgres().await;
    let (first_log, first) = deployment.open().await;
    let (_second_log, second) = deployment.open().await;
    let mut world = World::new(&first_log).await;
    for _ in 0..20 {
        world.something().await;
    }
    passed(&second, world.head).await;
    first.shutdown().await;
    for _ in 0..20 {
        world.something().await;
    }
    passed(&second, world.head).await;
}
