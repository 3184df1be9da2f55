//! The links that hold, and what the gate starts from.

use tenure_aggregates::link::{Command, GroupGrant, GroupGrants, GroupRole, Origin, Proof, Stage};
use tenure_aggregates::tenant::Stage as TenantStage;
use tenure_aggregates::{LinkId, TenantKind};
use tenure_projections::links::{self, LinkRecord};
use tenure_projections::tenants;

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(
    a_link_is_shown_as_its_events_left_it_until_it_ends,
    links_are_listed_page_by_page_and_only_to_their_msp,
    counts_follow_a_tenant_that_leaves_and_joins,
);

async fn a_link_is_shown_as_its_events_left_it_until_it_ends(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let (made, found) = (world.provision().await, world.provision().await);
    let groups =
        GroupGrants::try_from(vec![GroupGrant { id: "g1".parse().unwrap(), role: GroupRole::Auditor }]).unwrap();
    world.link(made, world.new_link(made, Origin::New)).await.unwrap();
    let at = world.now();
    let update = Command::Update { name: "Renamed".parse().unwrap(), groups: groups.clone(), at };
    world.link(made, update).await.unwrap();
    world.link(made, Command::Verify { proof: Proof::Found, at: world.now() }).await.unwrap();
    world.link(found, world.new_link(found, Origin::Existing)).await.unwrap();
    world.link(found, Command::Invite { at: world.now() }).await.unwrap();
    passed(&views, world.head).await;

    let msp = world.msp;
    let of = async || links::list(&views, msp, None, 10).await.unwrap();
    let [first, second]: [LinkRecord; 2] = of().await.try_into().unwrap();
    let state = world.links[&made].state.clone();
    let terms = state.terms().unwrap();
    assert_eq!((first.link_id, first.tenant_id), (LinkId::between(world.msp, made), made));
    assert_eq!((first.name.as_str(), first.domain.as_str(), &first.groups), ("Renamed", "tenant.com", &groups));
    assert_eq!((first.stage, first.invited_at), (Stage::Active, None));
    assert_eq!(first.created_at.timestamp_micros(), terms.created_at.timestamp_micros());
    assert_eq!(first.updated_at.timestamp_micros(), terms.updated_at.timestamp_micros());
    assert_eq!(first.activated_at, Some(first.updated_at));
    assert_eq!((second.stage, second.activated_at), (Stage::Invited, None));
    assert_eq!(second.invited_at, Some(second.updated_at));

    let grants = links::grants(&views).await.unwrap();
    assert_eq!(grants.position, world.head);
    let mut stages: Vec<_> = grants.links.iter().map(|grant| (grant.tenant_id, grant.stage)).collect();
    stages.sort();
    assert_eq!(stages, [(made, Stage::Active), (found, Stage::Invited)]);

    world.link(found, Command::Decline { at: world.now() }).await.unwrap();
    world.link(made, Command::Unlink { at: world.now() }).await.unwrap();
    passed(&views, world.head).await;
    let [left]: [LinkRecord; 1] = of().await.try_into().unwrap();
    assert_eq!((left.tenant_id, left.stage, left.invited_at), (found, Stage::Existing, None));
    world.link(made, world.new_link(made, Origin::New)).await.unwrap();
    passed(&views, world.head).await;
    let again = of().await.into_iter().find(|link| link.tenant_id == made).unwrap();
    assert_eq!((again.stage, again.activated_at, again.name.as_str()), (Stage::Pending, None, "My new tenant"));
}

async fn links_are_listed_page_by_page_and_only_to_their_msp(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let mut other = World::new(&log).await;
    let mut made = Vec::new();
    for _ in 0..7 {
        let tenant = world.provision().await;
        world.link(tenant, world.new_link(tenant, Origin::New)).await.unwrap();
        made.push(tenant);
    }
    let theirs = other.provision().await;
    other.link(theirs, other.new_link(theirs, Origin::New)).await.unwrap();
    passed(&views, other.head).await;

    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = links::list(&views, world.msp, after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        listed.extend(page.into_iter().map(|link| link.tenant_id));
    }
    assert_eq!(listed, made);
    let their_links = links::list(&views, other.msp, None, 9).await.unwrap();
    assert_eq!(their_links.iter().map(|link| link.tenant_id).collect::<Vec<_>>(), [theirs]);
}

async fn counts_follow_a_tenant_that_leaves_and_joins(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let other = World::new(&log).await;
    let tenant = world.provision().await;
    world.provision().await;
    let totals = async |msp| {
        let totals = tenants::totals(&views, msp).await.unwrap();
        totals.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
    };
    world.unlink(tenant).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!((totals(world.msp).await, totals(other.msp).await), (vec![(TenantStage::Active, 1)], vec![]));
    assert_eq!(tenants::find(&views, world.msp, tenant).await.unwrap(), None);
    let stages = tenants::stages(&views).await.unwrap().tenants;
    let stage = stages.iter().find(|stage| stage.tenant_id == tenant).unwrap();
    assert_eq!((stage.kind, stage.owner.as_deref()), (TenantKind::Independent, Some("~owner")));

    world.join(tenant, other.msp).await.unwrap();
    world.suspend(tenant).await.unwrap();
    passed(&views, world.head).await;
    assert_eq!(totals(other.msp).await, [(TenantStage::Suspended, 1)]);
    let found = tenants::find(&views, other.msp, tenant).await.unwrap().unwrap();
    assert_eq!(found.kind, TenantKind::Customer { msp: other.msp });
    let stages = tenants::stages(&views).await.unwrap().tenants;
    let stage = stages.iter().find(|stage| stage.tenant_id == tenant).unwrap();
    assert_eq!((stage.owner.as_deref(), stage.former_owner.as_deref()), (None, Some("~owner")));
}
