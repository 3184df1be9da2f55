//! Rebuilding a view: the same rows, nothing disturbed, nothing left behind.

use std::time::Duration;

use tenure_projections::tenants::{self, ListFilter, Page};
use tenure_projections::{ProjectionState, RebuildError};

use crate::deployment::{Deployment, Place, eventually, passed};
use crate::tables::{dump, generations};
use crate::world::World;

const VIEWS: [&str; 6] = ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"];

on_both_engines!(
    a_rebuilt_view_equals_the_live_one,
    views_rebuilt_together_equal_the_live_ones,
    many_rows_that_begin_at_once_are_what_the_live_ones_are,
    a_rebuilt_view_has_the_indexes_of_a_new_one,
    a_rebuild_goes_on_beside_commands_and_queries,
    a_replaced_generation_is_dropped,
    an_unknown_view_is_not_rebuilt,
    a_view_of_another_version_is_built_beside_the_old_one,
);

async fn a_rebuilt_view_equals_the_live_one(deployment: Deployment) {
    let log = deployment.log().await;
    let views = deployment.views_with(&log, |config| config.max_batch = 7).await;
    let mut world = World::new(&log).await;
    for _ in 0..300 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let live = dump(&deployment).await;
    assert_eq!(live.len(), 10, "{:?}", live.keys());
    for view in VIEWS {
        views.rebuild(view).await.unwrap();
    }
    assert_eq!(dump(&deployment).await, live);
    for status in views.status() {
        assert_eq!((status.generation, status.state, status.position), (2, ProjectionState::Live, world.head));
    }
}

async fn views_rebuilt_together_equal_the_live_ones(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..300 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let live = dump(&deployment).await;
    let outcomes = views.rebuild_together(&["tenants", "billing", "usage", "billing"]).await.unwrap();
    let mut rebuilt: Vec<&str> =
        outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(name, _)| *name).collect();
    rebuilt.sort_unstable();
    assert_eq!(rebuilt, ["billing", "tenants", "usage"]);
    let refused: Vec<_> =
        outcomes.iter().filter_map(|(name, outcome)| Some((*name, outcome.as_ref().err()?))).collect();
    assert!(matches!(refused[..], [("billing", RebuildError::InProgress)]), "{refused:?}");
    assert_eq!(dump(&deployment).await, live);
    for status in views.status() {
        let generation = if rebuilt.contains(&status.name) { 2 } else { 1 };
        assert_eq!((status.generation, status.state, status.position), (generation, ProjectionState::Live, world.head));
    }
    let unknown = views.rebuild_together(&["tenants", "tenant"]).await.unwrap_err();
    assert!(matches!(unknown, RebuildError::UnknownView { .. }), "{unknown}");
}

/// More than a rebuild writes one by one: `PostgreSQL` gets them by `COPY`.
async fn many_rows_that_begin_at_once_are_what_the_live_ones_are(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..250 {
        world.provision().await;
    }
    for _ in 0..50 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let live = dump(&deployment).await;
    views.rebuild_together(&VIEWS).await.unwrap();
    assert_eq!(dump(&deployment).await, live);
}

async fn a_rebuilt_view_has_the_indexes_of_a_new_one(deployment: Deployment) {
    let log = deployment.log().await;
    let views = deployment.views_with(&log, |config| config.drop_after_ms = 3_600_000).await;
    views.rebuild_together(&VIEWS).await.unwrap();
    let of_generation = async |generation: u32| {
        let indexes = match deployment.place {
            Place::Sqlite(_) => {
                format!("select sql from sqlite_master where sql like 'create index %_v{generation}_%'")
            }
            Place::Postgres(_) => {
                format!(
                    "select indexdef from pg_indexes where schemaname = 'views' and indexname like '%\\_v{generation}\\_%'"
                )
            }
        };
        let found = crate::tables::rows(&deployment, &indexes).await;
        found.into_iter().map(|index| index.replace(&format!("_v{generation}"), "")).collect::<Vec<_>>()
    };
    let (new, rebuilt) = (of_generation(1).await, of_generation(2).await);
    assert!(new.len() >= 9, "{new:?}");
    assert_eq!(rebuilt, new);
}

async fn a_rebuild_goes_on_beside_commands_and_queries(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..50 {
        world.something().await;
    }
    let rebuilding = views.clone();
    let rebuilds = tokio::spawn(async move {
        for _ in 0..5 {
            for view in VIEWS {
                rebuilding.rebuild(view).await.unwrap();
            }
        }
    });
    let mut written = 0;
    while !rebuilds.is_finished() || written < 50 {
        // What was waited for is seen, whichever generation answers.
        let tenant = world.provision().await;
        passed(&views, world.head).await;
        assert!(tenants::find(&views, world.msp, tenant).await.unwrap().is_some(), "{:?}", views.status());
        let page = Page::Number { page: 1, size: 1 };
        let newest = tenants::list(&views, world.msp, &ListFilter::default(), page).await.unwrap();
        assert_eq!(newest.tenants[0].tenant_id, tenant);
        written += 1;
    }
    rebuilds.await.unwrap();
    let live = dump(&deployment).await;
    for view in VIEWS {
        views.rebuild(view).await.unwrap();
    }
    assert_eq!(dump(&deployment).await, live);
}

async fn a_replaced_generation_is_dropped(deployment: Deployment) {
    let log = deployment.log().await;
    let views = deployment.views_with(&log, |config| config.drop_after_ms = 100).await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;
    views.rebuild("tenants").await.unwrap();
    eventually("the old generation is gone", async || {
        let left = generations(&deployment).await;
        (left == ["access_tokens_v1", "billing_v1", "deadlines_v1", "links_v1", "tenants_v2", "usage_v1"]).then_some(())
    })
    .await;
    let old = match deployment.place {
        Place::Sqlite(_) => {
            "select name as t from sqlite_master where name like '%tenants_v1' or name like 'tenant_counts_v1'"
        }
        Place::Postgres(_) => {
            "select tablename as t from pg_tables where tablename in ('tenants_v1', 'tenant_counts_v1')"
        }
    };
    let left: Vec<_> = crate::tables::rows(&deployment, old).await;
    assert!(!left.contains(&"tenants_v1".to_owned()) && !left.contains(&"tenant_counts_v1".to_owned()), "{left:?}");
    assert_eq!(tenants::totals(&views, world.msp).await.unwrap().len(), 1);
}

async fn an_unknown_view_is_not_rebuilt(deployment: Deployment) {
    let (_log, views) = deployment.open().await;
    let refused = views.rebuild("tenant").await.unwrap_err();
    assert!(matches!(refused, RebuildError::UnknownView { .. }), "{refused}");
}

async fn a_view_of_another_version_is_built_beside_the_old_one(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    world.provision().await;
    passed(&views, world.head).await;
    views.shutdown().await;
    log.shutdown().await;
    // As another release has left it: its pointer names its own version.
    let other = "update {}pointers set version = 99 where view_name = 'tenants'";
    deployment.meddle_with_views(other).await;

    let (_log, views) = deployment.open().await;
    passed(&views, world.head).await;
    let status = views.status().into_iter().find(|status| status.name == "tenants").unwrap();
    assert_eq!((status.version, status.generation), (2, 2));
    assert_eq!(tenants::totals(&views, world.msp).await.unwrap().len(), 1);
    let present = generations(&deployment).await;
    match deployment.place {
        // An embedded database has no other process: the old release is gone for good.
        Place::Sqlite(_) => {
            eventually("the old release's tables are retired", async || {
                let pointers = crate::tables::rows(&deployment, "select version from {}pointers").await;
                (pointers == ["1", "1", "1", "1", "2", "2"]).then_some(())
            })
            .await;
        }
        Place::Postgres(_) => assert!(present.contains(&"tenants_v1".to_owned()), "{present:?}"),
    }
    tokio::time::timeout(Duration::from_secs(10), views.shutdown()).await.unwrap();
}
