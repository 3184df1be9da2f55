//! Events that can't be applied: the projection stands before them, says so, and nothing is skipped.

use std::time::Duration;

use serde_json::json;
use tenure_aggregates::tenant::Stage;
use tenure_event_log::Position;
use tenure_projections::tenants;
use tenure_projections::{ProblemKind, ProjectionStatus, RebuildError, Views, ViewsConfig};

use crate::deployment::{Deployment, Place, eventually, passed};
use crate::tables::dump;
use crate::world::World;

on_both_engines!(
    a_poison_event_stops_its_projections_and_no_others,
    a_poison_event_of_links_or_subscriptions_stops_only_who_uses_it,
    an_event_that_cannot_follow_stops_only_who_notices,
    a_tenant_that_begins_twice_stops_whoever_keeps_a_row_of_it,
    an_unknown_event_is_left_to_a_newer_instance,
    a_rebuild_that_meets_poison_leaves_the_live_view,
    poison_for_one_view_does_not_stop_those_rebuilt_with_it,
    what_was_applied_before_the_poison_stays,
    a_row_of_the_log_that_is_gone_stops_everything_there,
    a_row_that_the_database_refuses_stops_its_projection_at_that_event,
);

fn status(views: &Views, name: &str) -> ProjectionStatus {
    views.status().into_iter().find(|status| status.name == name).unwrap()
}

async fn stopped(views: &Views, name: &str) -> ProjectionStatus {
    eventually("the projection stops", async || Some(status(views, name)).filter(|status| status.problem.is_some()))
        .await
}

/// Both engines keep the payload in a column of this name.
async fn repair(deployment: &Deployment, position: u64, payload: &str) {
    deployment.meddle(&format!("update events set payload = '{payload}' where position = {position}")).await;
}

async fn a_poison_event_stops_its_projections_and_no_others(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let garbage = json!({ "administrator.accepted": { "max_users": "many" } });
    let poison = world.intrude("administrator", tenant, "administrator.accepted", garbage).await;
    let after = world.suspend(tenant).await.unwrap();

    for view in ["tenants", "usage"] {
        let stopped = stopped(&views, view).await;
        let problem = stopped.problem.unwrap();
        assert_eq!(stopped.position.get(), poison.get() - 1);
        assert_eq!((problem.kind, problem.position), (ProblemKind::Poison, Some(poison)));
        assert_eq!(problem.event_type.as_deref(), Some("administrator.accepted"));
        assert!(problem.error.contains("payload"), "{}", problem.error);
    }
    for view in ["billing", "deadlines"] {
        eventually("the others go on", async || (status(&views, view).position == after).then_some(())).await;
        assert_eq!(status(&views, view).problem, None);
    }
    // Nobody waits in vain for long.
    let waiting = tokio::time::timeout(Duration::from_secs(5), views.wait_for(after, Duration::from_mins(1)));
    assert!(!waiting.await.unwrap());

    repair(&deployment, poison.get(), r#"{"administrator.accepted":{"max_users":5,"at":"2026-01-01T00:00:00Z"}}"#)
        .await;
    eventually("the retry goes on", async || (views.position() == after).then_some(())).await;
    assert!(views.status().iter().all(|status| status.problem.is_none()));
    let found = tenants::find(&views, world.msp, tenant).await.unwrap().unwrap();
    assert_eq!((found.status, found.current_users), (Stage::Suspended, 1));
    let live = dump(&deployment).await;
    views.rebuild("tenants").await.unwrap();
    views.rebuild("usage").await.unwrap();
    assert_eq!(dump(&deployment).await, live);
}

async fn a_poison_event_of_links_or_subscriptions_stops_only_who_uses_it(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let mut going = vec!["tenants", "billing", "deadlines", "usage", "links", "access_tokens"];
    for (aggregate, name, users) in [
        ("link", "link.updated", &["links"][..]),
        ("subscription", "tenant.subscription.changed", &["tenants", "billing"]),
    ] {
        world.intrude(aggregate, tenant, name, json!({ name: { "at": "yesterday" } })).await;
        going.retain(|view| !users.contains(view));
        for view in users {
            let problem = stopped(&views, view).await.problem.unwrap();
            assert_eq!(problem.event_type.as_deref(), Some(name));
        }
        for view in &going {
            eventually("the others go on", async || (status(&views, view).position == world.head).then_some(())).await;
            assert_eq!(status(&views, view).problem, None, "{view} has no use for {name}");
        }
    }
}

async fn an_event_that_cannot_follow_stops_only_who_notices(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let stranger = tenure_aggregates::TenantId::from_uuid(uuid::Uuid::now_v7());
    let suspended = json!({ "tenant.suspended": { "reason": null, "at": "2026-01-01T00:00:00Z" } });
    let poison = world.intrude("tenant", stranger, "tenant.suspended", suspended).await;
    for view in ["tenants", "billing"] {
        let problem = stopped(&views, view).await.problem.unwrap();
        assert!(problem.error.contains("never provisioned"), "{}", problem.error);
        eventually("it is tried again", async || status(&views, view).problem.filter(|problem| problem.attempts >= 2))
            .await;
    }
    for view in ["deadlines", "usage"] {
        eventually("the others go on", async || (status(&views, view).position == poison).then_some(())).await;
    }
}

async fn a_tenant_that_begins_twice_stops_whoever_keeps_a_row_of_it(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    passed(&views, world.head).await;
    let before = dump(&deployment).await;
    let first = log.read_tenant(tenant.as_uuid(), Position::START, 1).await.unwrap();
    let first = log.open_events(first).await.unwrap().remove(0);
    let again = world.intrude("tenant", tenant, "tenant.provisioned", first.payload.parse().unwrap()).await;
    for view in ["tenants", "billing", "deadlines", "usage"] {
        let problem = stopped(&views, view).await.problem.unwrap();
        assert_eq!((problem.kind, problem.position), (ProblemKind::Poison, Some(again)));
    }
    assert_eq!(dump(&deployment).await, before);
}

async fn an_unknown_event_is_left_to_a_newer_instance(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let unknown =
        world.intrude("unit_user", tenant, "unit_user.registered", json!({ "unit_user.registered": {} })).await;
    let after = world.suspend(tenant).await.unwrap();
    for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
        let stopped = stopped(&views, view).await;
        let problem = stopped.problem.unwrap();
        assert_eq!(stopped.position.get(), unknown.get() - 1);
        assert_eq!((problem.kind, problem.position), (ProblemKind::UnknownEvent, Some(unknown)));
        assert_eq!(problem.error, "unknown event type, a newer instance must apply it");
    }
    assert!(tenants::find(&views, world.msp, tenant).await.unwrap().is_some());
    assert!(!views.wait_for(after, Duration::from_millis(300)).await);

    if let Place::Postgres(_) = deployment.place {
        // What a newer instance does, as seen from here.
        deployment.meddle(&format!("update views.checkpoints set position = {unknown}")).await;
        passed(&views, after).await;
        assert!(views.status().iter().all(|status| status.problem.is_none()));
    }
}

async fn a_rebuild_that_meets_poison_leaves_the_live_view(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let suspended = world.suspend(tenant).await.unwrap();
    world.reinstate(tenant).await.unwrap();
    passed(&views, world.head).await;
    let live = dump(&deployment).await;
    repair(&deployment, suspended.get(), r#"{"tenant.suspended":{}}"#).await;
    let error = views.rebuild("tenants").await.unwrap_err();
    let RebuildError::Stopped(problem) = error else { panic!("{error}") };
    assert_eq!(problem.position, Some(suspended));
    assert_eq!(dump(&deployment).await, live);
    assert!(views.status().iter().all(|status| status.generation == 1 && status.problem.is_none()));
}

async fn poison_for_one_view_does_not_stop_those_rebuilt_with_it(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let suspended = world.suspend(tenant).await.unwrap();
    world.reinstate(tenant).await.unwrap();
    passed(&views, world.head).await;
    let live = dump(&deployment).await;
    repair(&deployment, suspended.get(), r#"{"tenant.suspended":{}}"#).await;
    let outcomes = views.rebuild_together(&["usage", "tenants", "deadlines"]).await.unwrap();
    for (name, outcome) in outcomes {
        match (name, outcome) {
            ("usage" | "deadlines", Ok(())) => assert_eq!(status(&views, name).generation, 2),
            ("tenants", Err(RebuildError::Stopped(problem))) => {
                assert_eq!(problem.position, Some(suspended));
                assert_eq!(status(&views, name).generation, 1);
            }
            (name, outcome) => panic!("{name}: {outcome:?}"),
        }
    }
    assert_eq!(dump(&deployment).await, live);
    assert_eq!(views.status().len(), 6, "none is being built any more");
}

async fn what_was_applied_before_the_poison_stays(deployment: Deployment) {
    // All in one batch: the views are opened when everything is in the log.
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    world.suspend(tenant).await.unwrap();
    let unreadable = json!({ "tenant.reinstated": { "at": "yesterday" } });
    let poison = world.intrude("tenant", tenant, "tenant.reinstated", unreadable).await;
    world.provision().await;
    let views = deployment.views(&log).await;
    let stopped = stopped(&views, "tenants").await;
    assert_eq!(stopped.position.get(), poison.get() - 1);
    let found = tenants::find(&views, world.msp, tenant).await.unwrap().unwrap();
    assert_eq!(found.status, Stage::Suspended);
    assert_eq!(tenants::totals(&views, world.msp).await.unwrap().iter().map(|(_, count)| count).sum::<u64>(), 1);
}

async fn a_row_that_the_database_refuses_stops_its_projection_at_that_event(deployment: Deployment) {
    let log = deployment.log().await;
    let views = Views::open(ViewsConfig::new(deployment.engine()), log.clone()).await.unwrap();
    let (refuse, admit) = match deployment.place {
        Place::Sqlite(_) => (
            "create trigger refuse before insert on usage_months_v1 when new.resources = 13 \
             begin select raise(abort, 'unlucky'); end",
            "drop trigger refuse",
        ),
        Place::Postgres(_) => (
            "alter table {}usage_months_v1 add constraint unlucky check (resources <> 13)",
            "alter table {}usage_months_v1 drop constraint unlucky",
        ),
    };
    deployment.meddle_with_views(refuse).await;
    // All in one batch, with events before and behind.
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    for resources in 1..=12 {
        world.report(tenant, resources, 0).await.unwrap();
    }
    let unlucky = world.report(tenant, 13, 0).await.unwrap();
    world.suspend(tenant).await.unwrap();
    views.start();

    let stopped = stopped(&views, "usage").await;
    let problem = stopped.problem.unwrap();
    assert_eq!((stopped.position.get(), problem.position), (unlucky.get() - 1, Some(unlucky)));
    assert_eq!((problem.kind, problem.event_type.as_deref()), (ProblemKind::Poison, Some("tenant.usage.reported")));
    assert!(problem.error.contains("unlucky"), "{}", problem.error);
    for view in ["tenants", "billing", "deadlines"] {
        eventually("the others go on", async || (status(&views, view).position == world.head).then_some(())).await;
    }
    deployment.meddle_with_views(admit).await;
    eventually("the retry goes on", async || (views.position() == world.head).then_some(())).await;
    let live = dump(&deployment).await;
    views.rebuild("usage").await.unwrap();
    assert_eq!(dump(&deployment).await, live);
}

async fn a_row_of_the_log_that_is_gone_stops_everything_there(deployment: Deployment) {
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let lost = world.suspend(tenant).await.unwrap();
    world.reinstate(tenant).await.unwrap();
    // A log that was opened afterwards has nothing in memory: the views read the rows themselves.
    log.shutdown().await;
    deployment.meddle(&format!("update events set position = 1000 where position = {lost}")).await;
    let log = deployment.log().await;
    let views = deployment.views(&log).await;
    for view in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
        let stopped = stopped(&views, view).await;
        let problem = stopped.problem.unwrap();
        assert_eq!((stopped.position.get(), problem.position), (lost.get() - 1, Some(lost)), "{problem}");
        assert_eq!(problem.kind, ProblemKind::Poison);
    }
    deployment.meddle(&format!("update events set position = {lost} where position = 1000")).await;
    passed_in_the_end(&views, &world).await;
}

async fn passed_in_the_end(views: &Views, world: &World) {
    eventually("the retry goes on", async || (views.position() == world.head).then_some(())).await;
    assert!(views.status().iter().all(|status| status.problem.is_none()));
}
