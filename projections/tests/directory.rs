//! The tenant directory: what it shows, how it is listed, and that its counts are exact.

use std::collections::BTreeMap;

use tenure_aggregates::tenant::Stage;
use tenure_aggregates::{Administrator, TenantId, TenantKind};
use tenure_projections::tenants::{self, Cursor, ListFilter, Page};
use uuid::Uuid;

use crate::deployment::{Deployment, passed};
use crate::tables;
use crate::world::{EMAIL, PERSON, World};

on_both_engines!(
    a_tenant_is_shown_as_its_events_left_it,
    a_deleted_tenant_keeps_its_row_and_nothing_in_it,
    counts_and_rows_are_exact_after_any_history,
    a_list_is_paged_by_number_and_by_cursor,
    another_msps_customers_are_not_seen,
    the_gate_starts_from_every_tenants_stage,
    no_personal_value_is_in_the_views,
);

async fn a_tenant_is_shown_as_its_events_left_it(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let administrator = world.invite(tenant).await;
    world.invite(tenant).await;
    world.accept(administrator).await.unwrap();
    world.report(tenant, 7, 9).await.unwrap();
    let suspended = world.suspend(tenant).await.unwrap();
    passed(&views, suspended).await;

    let found = tenants::find(&views, world.msp, tenant).await.unwrap().unwrap();
    assert_eq!(found.kind, TenantKind::Customer { msp: world.msp });
    assert_eq!((found.status, found.display_name.as_str()), (Stage::Suspended, "Acme Corp"));
    assert_eq!((found.max_users, found.max_resources), (500, 200));
    assert_eq!((found.current_users, found.current_resources), (1, 7));
    assert_eq!(found.modules, ["ad", "ssh"]);
    assert_eq!(found.suspend_reason.as_deref(), Some("unpaid"));
    assert!(found.suspended_at.is_some());
    assert_eq!(found.sequence, 3);
    assert_eq!(found.last_activity_at, found.suspended_at.unwrap(), "the suspension was the last event");
    let counts = tenants::counts(&views, tenant).await.unwrap().unwrap();
    assert_eq!((counts.current_users, counts.current_resources), (1, 7));

    world.reinstate(tenant).await.unwrap();
    let removed = world.remove(administrator).await.unwrap();
    passed(&views, removed).await;
    let found = tenants::find(&views, world.msp, tenant).await.unwrap().unwrap();
    assert_eq!((found.status, found.suspended_at, found.suspend_reason), (Stage::Active, None, None));
    assert_eq!(found.current_users, 0);
}

async fn a_deleted_tenant_keeps_its_row_and_nothing_in_it(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let administrator = world.invite(tenant).await;
    world.accept(administrator).await.unwrap();
    world.report(tenant, 7, 9).await.unwrap();
    let deprovisioned = world.deprovision(tenant).await.unwrap();
    passed(&views, deprovisioned).await;
    let found = tenants::find(&views, world.msp, tenant).await.unwrap().unwrap();
    assert_eq!(found.status, Stage::Deprovisioning);
    assert!(found.retention_ends_at.is_some());

    let deleted = world.delete(tenant).await.unwrap();
    passed(&views, deleted).await;
    let found = tenants::find(&views, world.msp, tenant).await.unwrap().unwrap();
    assert_eq!((found.status, found.retention_ends_at), (Stage::Deleted, None));
    assert!(found.deleted_at.is_some());
    assert_eq!((found.current_users, found.current_resources), (0, 0));
    assert!(found.modules.is_empty());
}

async fn counts_and_rows_are_exact_after_any_history(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..400 {
        world.something().await;
    }
    passed(&views, world.head).await;

    let mut by_stage: BTreeMap<Stage, u64> = BTreeMap::new();
    for (tenant, folded) in world.tenants.iter().filter(|(tenant, _)| **tenant != world.msp) {
        let stage = folded.state.stage();
        if folded.state.account().unwrap().kind != (TenantKind::Customer { msp: world.msp }) {
            assert_eq!(tenants::find(&views, world.msp, *tenant).await.unwrap(), None, "it left");
            continue;
        }
        *by_stage.entry(stage).or_default() += 1;
        let users = world
            .administrators
            .values()
            .filter(|(of, administrator)| of == tenant && matches!(administrator.state, Administrator::Active { .. }));
        let users = if stage == Stage::Deleted { 0 } else { users.count() };
        let found = tenants::find(&views, world.msp, *tenant).await.unwrap().unwrap();
        assert_eq!((found.status, found.sequence), (stage, folded.sequence));
        assert_eq!(found.current_users as usize, users);
    }
    let totals = tenants::totals(&views, world.msp).await.unwrap();
    let totals: BTreeMap<Stage, u64> = totals.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(totals, by_stage);
    for (stage, count) in by_stage {
        let filter = ListFilter { status: Some(stage) };
        let page = tenants::list(&views, world.msp, &filter, Page::Number { page: 1, size: 200 }).await.unwrap();
        assert_eq!((page.total, page.tenants.len() as u64), (count, count));
        assert!(page.tenants.iter().all(|tenant| tenant.status == stage));
    }
}

async fn a_list_is_paged_by_number_and_by_cursor(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let mut provisioned = Vec::new();
    for _ in 0..7 {
        provisioned.push(world.provision().await);
    }
    provisioned.reverse();
    passed(&views, world.head).await;

    let everything = ListFilter::default();
    let msp = world.msp;
    let page = async |page| tenants::list(&views, msp, &everything, page).await.unwrap();
    let ids = |page: &tenants::TenantPage| page.tenants.iter().map(|tenant| tenant.tenant_id).collect::<Vec<_>>();
    let second = page(Page::Number { page: 2, size: 3 }).await;
    assert_eq!((ids(&second), second.total), (provisioned[3..6].to_vec(), 7));
    let last = page(Page::Number { page: 3, size: 3 }).await;
    assert_eq!((ids(&last), last.next), (provisioned[6..].to_vec(), None));
    assert!(page(Page::Number { page: 4, size: 3 }).await.tenants.is_empty());

    // A cursor survives being written down, and what is provisioned meanwhile does not shift the pages.
    let first = page(Page::Number { page: 1, size: 3 }).await;
    let cursor: Cursor = first.next.unwrap().to_string().parse().unwrap();
    let newer = world.provision().await;
    passed(&views, world.head).await;
    let second = page(Page::After { cursor, size: 3 }).await;
    assert_eq!((ids(&second), second.total), (provisioned[3..6].to_vec(), 8));
    let third = page(Page::After { cursor: second.next.unwrap(), size: 3 }).await;
    assert_eq!((ids(&third), third.next), (provisioned[6..].to_vec(), None));
    assert_eq!(ids(&page(Page::Number { page: 1, size: 1 }).await), [newer]);
    assert!("AAAA".parse::<Cursor>().is_err() && "?".parse::<Cursor>().is_err());
}

async fn another_msps_customers_are_not_seen(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut ours = World::new(&log).await;
    let mut theirs = World::new(&log).await;
    let (our, their) = (ours.provision().await, theirs.provision().await);
    passed(&views, theirs.head).await;
    let everything = ListFilter::default();
    let page = tenants::list(&views, ours.msp, &everything, Page::Number { page: 1, size: 9 }).await.unwrap();
    assert_eq!((page.tenants.len(), page.tenants[0].tenant_id, page.total), (1, our, 1));
    assert_eq!(tenants::find(&views, ours.msp, their).await.unwrap(), None);
    // An MSP is not its own customer.
    assert_eq!(tenants::find(&views, ours.msp, ours.msp).await.unwrap(), None);
    let nobody = TenantId::from_uuid(Uuid::now_v7());
    assert_eq!(tenants::counts(&views, nobody).await.unwrap(), None);
}

async fn the_gate_starts_from_every_tenants_stage(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let (active, suspended) = (world.provision().await, world.provision().await);
    world.suspend(suspended).await.unwrap();
    passed(&views, world.head).await;
    let stages = tenants::stages(&views).await.unwrap();
    assert_eq!(stages.position, world.head);
    let found: BTreeMap<_, _> =
        stages.tenants.iter().map(|stage| (stage.tenant_id, (stage.kind, stage.status))).collect();
    let customer = TenantKind::Customer { msp: world.msp };
    let expected = [
        (world.msp, (TenantKind::Msp, Stage::Active)),
        (active, (customer, Stage::Active)),
        (suspended, (customer, Stage::Suspended)),
    ];
    assert_eq!(found, BTreeMap::from(expected));
}

async fn no_personal_value_is_in_the_views(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..60 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let dump = format!("{:?}", tables::dump(&deployment).await);
    assert!(dump.contains("Acme Corp"), "the dump holds the rows");
    for personal in [EMAIL, PERSON, "sealed"] {
        assert!(!dump.contains(personal), "{personal} is in the views");
    }
}
