//! Several instances on one PostgreSQL: whoever gets the checkpoint applies the batch, everybody knows when it is done.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tenure_projections::tenants;

use crate::deployment::{Deployment, Place, eventually, passed};
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
    for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_is_held_elsewhere_holds_up_that_view_only() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    passed(&views, world.head).await;
    let Place::Postgres(database) = &deployment.place else { unreachable!("made on PostgreSQL") };
    let mut frozen = PgConnection::connect(database.url()).await.unwrap();
    frozen.execute("begin; select position from views.checkpoints where name = 'usage_v1' for update").await.unwrap();
    let before = world.head;
    world.provision().await;
    assert!(!views.wait_for(world.head, Duration::from_millis(300)).await);
    for status in views.status() {
        let expected = if status.name == "usage" { before } else { world.head };
        let reached =
            async || views.status().into_iter().find(|now| now.name == status.name && now.position == expected);
        assert_eq!(eventually("the others go on", reached).await.problem, None);
    }
    frozen.execute("rollback").await.unwrap();
    passed(&views, world.head).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projector_whose_connection_is_cut_goes_on() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..10 {
        world.something().await;
        passed(&views, world.head).await;
        deployment
            .meddle(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tenure projector' \
                     and datname = current_database()",
            )
            .await;
    }
    passed(&views, world.head).await;
    eventually("the problem is over", async || {
        views.status().iter().all(|status| status.problem.is_none()).then_some(())
    })
    .await;
    let live = dump(&deployment).await;
    for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
        views.rebuild(view).await.unwrap();
    }
    assert_eq!(dump(&deployment).await, live);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_whose_connections_are_cut_do_not_notice() {
    let deployment = Deployment::postgres().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    passed(&views, world.head).await;
    for _ in 0..10 {
        // All of the pool's connections have just been in use.
        let find = || async { tenants::find(&views, world.msp, tenant).await.unwrap().unwrap() };
        tokio::join!(find(), find(), find(), find());
        deployment
            .meddle(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tenure views' \
                     and datname = current_database()",
            )
            .await;
        tokio::join!(find(), find(), find(), find());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_releases_go_on_side_by_side() {
    let deployment = Deployment::postgres().await;
    let (older_log, older) = deployment.open().await;
    let mut world = World::new(&older_log).await;
    for _ in 0..20 {
        world.something().await;
    }
    let newer_log = deployment.log().await;
    let newer = deployment.views_with(&newer_log, |config| config.versions_ahead = 1).await;
    for round in 0..40 {
        world.log = if round % 2 == 0 { older_log.clone() } else { newer_log.clone() };
        world.something().await;
        passed(if round % 3 == 0 { &older } else { &newer }, world.head).await;
    }
    let mut versions = Vec::new();
    for views in [&older, &newer] {
        passed(views, world.head).await;
        versions.push(views.status().iter().map(|status| status.version).collect::<Vec<_>>());
    }
    assert_eq!(versions[1], versions[0].iter().map(|version| version + 1).collect::<Vec<_>>());
    let totals = tenants::totals(&older, world.msp).await.unwrap();
    assert_eq!(tenants::totals(&newer, world.msp).await.unwrap(), totals);
    // Each rebuilds its own.
    newer.rebuild("tenants").await.unwrap();
    let generation = |views: &tenure_projections::Views| views.status()[0].generation;
    assert_eq!((generation(&older), generation(&newer)), (1, 3));
    assert_eq!(tenants::totals(&newer, world.msp).await.unwrap(), totals);
}
