//! Two MSPs at the same moment.

use futures::future::join_all;
use serde_json::{Value, json};
use tenure_event_log::{EventLog, LogConfig, MasterKey, Position};

use super::world::{TENANTS, World, of};
use crate::service::{Answer, for_each_engine};

async fn of_two_that_prove_one_domain_exactly_one_wins(engine: crate::service::Engine) {
    const PAIRS: usize = 50;
    let world = World::start(engine).await;
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        let domain = format!("tenant{number}.example");
        let pair = (world.create(world.ours, &domain).await, world.create(world.theirs, &domain).await);
        world.names.publish_proof(&pair.0).await;
        world.names.publish_proof(&pair.1).await;
        pairs.push(pair);
    }
    let path = |tenant: &Value| format!("{}/dns", of(tenant));
    let races = pairs.iter().map(async |(ours, theirs)| {
        let (our_path, their_path) = (path(ours), path(theirs));
        let race = (
            world.by(world.ours, "POST", &our_path, Value::Null),
            world.by(world.theirs, "POST", &their_path, Value::Null),
        );
        tokio::join!(race.0, race.1)
    });
    for (number, (ours, theirs)) in join_all(races).await.into_iter().enumerate() {
        let mut statuses = [ours.status, theirs.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "pair {number}");
        let pair = &pairs[number];
        let after = (world.read(world.ours, &pair.0).await, world.read(world.theirs, &pair.1).await);
        let expected = |won: bool| if won { "active" } else { "pending" };
        assert_eq!(
            (&after.0["status"], &after.1["status"]),
            (&json!(expected(ours.status == 200)), &json!(expected(theirs.status == 200)),)
        );
    }
}

async fn of_many_that_create_one_domain_exactly_one_does(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let body = json!({"name": "T", "domain": "tenant.com", "groups": []});
    let answers = join_all((0..10).map(|_| world.by(world.ours, "POST", "", body.clone()))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    assert_eq!(world.listed(world.ours).await.len(), 1);
}

/// Two instances, since one serializes what concerns an account by itself.
#[tokio::test]
async fn an_account_that_is_let_go_while_it_subscribes_pays_nothing() {
    const ACCOUNTS: usize = 60;
    let world = World::start(crate::service::Engine::Postgres).await;
    let there = world.beside();
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(world.verified(world.ours, &format!("tenant{number}.example")).await);
    }
    let token = there.token_of(tenure::identity::Role::MspAdmin, world.ours);
    // One pair after the other: it is not about load.
    for account in &accounts {
        let path = format!("{TENANTS}{}/subscription", of(account));
        let subscribe = there.request("POST", &path).bearer_auth(&token).json(&json!({"priceID": "price_1"}));
        let path = format!("{}/unlink", of(account));
        let unlink = world.by(world.ours, "POST", &path, json!({"owner": "o"}));
        let (subscribed, unlinked) = tokio::join!(Answer::of(subscribe), unlink);
        unlinked.expect(200);
        assert!([200, 404, 412].contains(&subscribed.status), "{subscribed:?}");
    }
    let config = &world.service.config;
    let key = MasterKey::load(&config.master_key_path()).unwrap();
    let log = EventLog::open_read_only(LogConfig::new(config.engine.clone(), key, config.clock())).await.unwrap();
    let events = log.read(Position::START, 10_000).await.unwrap();
    log.shutdown().await;
    for account in &accounts {
        let of_account = events.iter().filter(|event| event.stream.aggregate_id == account["id"]);
        let kinds: Vec<_> = of_account.map(|event| &*event.event_type).collect();
        let last = |kind: &str| kinds.iter().rposition(|other| *other == kind);
        let (subscribed, ended) = (last("tenant.subscription.changed"), last("tenant.subscription.cancelled"));
        assert!(subscribed.is_none() || ended > subscribed, "{kinds:?}");
    }
}

async fn an_account_is_invited_by_one_msp_at_a_time(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let account = world.verified(world.ours, "tenant.com").await;
    world.by(world.ours, "POST", &format!("{}/unlink", of(&account)), json!({"owner": "o"})).await.expect(200);
    for msp in [world.ours, world.theirs] {
        assert_eq!(world.create(msp, "tenant.com").await["status"], "existing");
    }
    let path = format!("{}/invite", of(&account));
    let (ours, theirs) = tokio::join!(
        world.by(world.ours, "POST", &path, Value::Null),
        world.by(world.theirs, "POST", &path, Value::Null)
    );
    let mut statuses = [ours.status, theirs.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let (winner, loser) = if ours.status == 200 { (world.ours, world.theirs) } else { (world.theirs, world.ours) };
    world.by_owner(&account, "PUT", &path, json!({"value": "accept"})).await.expect(200);
    assert_eq!(world.read(winner, &account).await["status"], "active");
    assert_eq!(world.read(loser, &account).await["status"], "existing");
}

for_each_engine! {
    of_two_that_prove_one_domain_exactly_one_wins
    of_many_that_create_one_domain_exactly_one_does
    an_account_is_invited_by_one_msp_at_a_time
}
