//! The view of access tokens: what it shows, to whom, and what the gate starts from.

use chrono::TimeDelta;
use tenure_aggregates::values::TokenName;
use tenure_aggregates::{AccessTokenId, Role, TenantId};
use tenure_projections::access_tokens::{self, TokenRecord, TokenScope};

use crate::deployment::{Deployment, passed};
use crate::world::World;

on_both_engines!(
    a_token_is_shown_as_its_events_left_it,
    tokens_are_listed_newest_first_and_paged,
    everybody_sees_what_they_made_and_an_msp_its_tree,
    the_gate_starts_from_every_live_token,
    rows_are_exact_after_any_history,
);

fn ids(records: &[TokenRecord]) -> Vec<AccessTokenId> {
    records.iter().map(|record| record.token_id).collect()
}

fn tree(msp: TenantId) -> TokenScope {
    TokenScope::Tree(msp)
}

async fn a_token_is_shown_as_its_events_left_it(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = world.provision().await;
    let token = world.make_token(tenant).await;
    passed(&views, world.head).await;
    let [made] = &access_tokens::list(&views, &tree(world.msp), None, 9).await.unwrap()[..] else { panic!("one") };
    assert_eq!((made.token_id, made.tenant_id, made.msp_id), (token, tenant, world.msp));
    assert_eq!((made.name.clone(), made.role), (TokenName::parse("nightly sync").unwrap(), Role::ReadOnly));
    assert_eq!(made.groups.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(made.created_by.as_str(), format!("{}/anna", world.msp));
    assert_eq!(made.expires_at, made.created_at + TimeDelta::days(90));
    assert_eq!((made.revoked_at, made.last_used_at, made.uses), (None, None, 0));

    world.use_token(token, 0).await.unwrap();
    assert_eq!(world.use_token(token, 0).await, None, "not twice a minute");
    world.use_token(token, 5).await.unwrap();
    let revoked = world.revoke_token(token).await.unwrap();
    passed(&views, revoked).await;
    let found = access_tokens::list(&views, &tree(world.msp), None, 9).await.unwrap();
    assert!(found[0].revoked_at.is_some());
    assert_eq!(found[0].uses, 2);
    assert_eq!(found[0].last_used_at, world.tokens[&token].2.state.at());
    // Making, using and revoking it are activities of its tenant.
    let counts = tenure_projections::tenants::counts(&views, tenant).await.unwrap().unwrap();
    assert_eq!(Some(counts.last_activity_at), found[0].last_used_at, "five minutes from now");
}

async fn tokens_are_listed_newest_first_and_paged(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(world.make_token(world.msp).await);
    }
    made.reverse();
    passed(&views, world.head).await;
    let first = access_tokens::list(&views, &tree(world.msp), None, 3).await.unwrap();
    assert_eq!(ids(&first), made[..3]);
    let rest = access_tokens::list(&views, &tree(world.msp), Some(made[2]), 3).await.unwrap();
    assert_eq!(ids(&rest), made[3..]);
    assert!(access_tokens::list(&views, &tree(world.msp), Some(made[4]), 3).await.unwrap().is_empty());
}

async fn everybody_sees_what_they_made_and_an_msp_its_tree(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut ours = World::new(&log).await;
    let mut theirs = World::new(&log).await;
    let customer = ours.provision().await;
    let (of_customer, of_msp) = (ours.make_token(customer).await, ours.make_token(ours.msp).await);
    let foreign = theirs.make_token(theirs.msp).await;
    passed(&views, theirs.head).await;
    let list = async |scope: TokenScope| ids(&access_tokens::list(&views, &scope, None, 9).await.unwrap());
    assert_eq!(list(tree(ours.msp)).await, [of_msp, of_customer]);
    assert_eq!(list(tree(theirs.msp)).await, [foreign]);
    assert!(list(tree(customer)).await.is_empty(), "a customer is no tree");
    let own =
        |name: &str, token| TokenScope::Own { created_by: format!("{}/{name}", ours.msp).parse().unwrap(), token };
    assert_eq!(list(own("anna", None)).await, [of_msp, of_customer]);
    assert!(list(own("ben", None)).await.is_empty());
    assert_eq!(list(own("ben", Some(of_customer))).await, [of_customer], "a token sees itself");
}

async fn the_gate_starts_from_every_live_token(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let (one, other) = (world.make_token(world.msp).await, world.make_token(world.msp).await);
    world.use_token(one, 0).await.unwrap();
    world.revoke_token(other).await.unwrap();
    passed(&views, world.head).await;
    let live = access_tokens::live(&views).await.unwrap();
    assert_eq!((live.position, ids(&live.tokens)), (world.head, vec![one]));
    assert_eq!(live.tokens[0].uses, 1);
}

async fn rows_are_exact_after_any_history(deployment: Deployment) {
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    for _ in 0..400 {
        world.something().await;
    }
    passed(&views, world.head).await;
    let found = access_tokens::list(&views, &tree(world.msp), None, 1_000).await.unwrap();
    assert_eq!(found.len(), world.tokens.len());
    assert!(found.len() > 5 && found.iter().any(|token| token.revoked_at.is_some() && token.uses > 0), "{found:?}");
    for record in found {
        let (tenant, token, uses) = &world.tokens[&record.token_id];
        let details = token.state.details().unwrap();
        assert_eq!((record.tenant_id, record.hash, record.expires_at), (*tenant, details.hash, details.expires_at));
        let revoked = matches!(token.state, tenure_aggregates::AccessToken::Revoked { .. });
        assert_eq!((record.revoked_at.is_some(), record.uses), (revoked, uses.sequence));
        assert_eq!(record.last_used_at, uses.state.at());
    }
}
