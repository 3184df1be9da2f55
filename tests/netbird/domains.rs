//! What a name server answers, and what becomes of a verification.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{World, of, refused};
use crate::service::Engine;

async fn verify(world: &World, tenant: &Value) -> crate::service::Answer {
    world.by(world.ours, "POST", &format!("{}/dns", of(tenant)), Value::Null).await
}

/// Checks that the verification fails with the challenge, and answers why.
async fn unproven(world: &World, tenant: &Value) -> String {
    let answer = verify(world, tenant).await;
    let message = refused(&answer, 501);
    assert_eq!(answer.expect(501)["dns_challenge"], tenant["dns_challenge"]);
    assert_eq!(world.read(world.ours, tenant).await["status"], "pending");
    message
}

fn proof(tenant: &Value) -> String {
    format!("nb-verification={}", tenant["dns_challenge"].as_str().unwrap())
}

#[tokio::test]
async fn the_right_record_proves_the_domain_whatever_stands_beside_it() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    world.names.publish("tenant.com", &["v=spf1 -all"]).await;
    let missing = unproven(&world, &tenant).await;
    assert!(missing.contains("no TXT record of tenant.com"), "{missing}");
    let wrong = ["nb-verification=wrong", "nb-verification=", tenant["dns_challenge"].as_str().unwrap()];
    for wrong in
        wrong.map(ToOwned::to_owned).into_iter().chain([format!("{} ", proof(&tenant)), proof(&tenant).to_uppercase()])
    {
        world.names.publish("tenant.com", &[&wrong]).await;
        unproven(&world, &tenant).await;
    }
    world.names.publish("tenant.com", &[&proof(&tenant)]).await;
    assert_eq!(verify(&world, &tenant).await.expect(200), json!({}));
}

#[tokio::test]
async fn a_records_strings_are_read_as_one() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    let proof = proof(&tenant);
    let (first, rest) = proof.split_at(9);
    let (second, third) = rest.split_at(20);
    world.names.publish("tenant.com", &[first, "x", rest]).await;
    unproven(&world, &tenant).await;
    world.names.publish("tenant.com", &[first, second, third]).await;
    verify(&world, &tenant).await.expect(200);
}

#[tokio::test]
async fn a_cname_is_followed() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "www.tenant.com").await;
    world.names.alias("www.tenant.com", "hosted.provider.example").await;
    unproven(&world, &tenant).await;
    world.names.publish("hosted.provider.example", &[&proof(&tenant)]).await;
    verify(&world, &tenant).await.expect(200);
}

#[tokio::test]
async fn a_cname_that_leads_in_a_circle_proves_nothing_and_ends() {
    let world = World::start_with(Engine::Sqlite, &[("TENURE_DNS_TIMEOUT_MS", "2000")]).await;
    for (domain, others) in [("self.example", &["self.example"][..]), ("a.example", &["b.example", "a.example"])] {
        let tenant = world.create(world.ours, domain).await;
        let mut from = domain;
        for to in others {
            world.names.alias(from, to).await;
            from = to;
        }
        let began = Instant::now();
        unproven(&world, &tenant).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_domain_that_does_not_exist_is_not_proven_and_nothing_of_that_is_remembered() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "nowhere.example").await;
    assert!(unproven(&world, &tenant).await.contains("no TXT record"));
    world.names.publish_proof(&tenant).await;
    verify(&world, &tenant).await.expect(200);
}

#[tokio::test]
async fn a_name_server_that_fails_is_told_from_a_record_that_is_missing() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "tenant.broken.example").await;
    let failed = unproven(&world, &tenant).await;
    assert!(failed.contains("can't be looked up") && failed.contains("Server Failure"), "{failed}");
}

#[tokio::test]
async fn a_name_server_that_is_silent_is_waited_for_no_longer_than_the_limit() {
    let world = World::start_with(Engine::Sqlite, &[("TENURE_DNS_TIMEOUT_MS", "600")]).await;
    let tenant = world.create(world.ours, "tenant.silent.example").await;
    let began = Instant::now();
    let failed = unproven(&world, &tenant).await;
    assert!(
        failed.contains("can't be looked up") && failed.contains("in time") || failed.contains("within 600 ms"),
        "{failed}"
    );
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nobody_who_answers_is_told_too() {
    // A port that nobody listens on.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let world =
        World::start_with(Engine::Sqlite, &[("TENURE_DNS_SERVER", nobody.as_str()), ("TENURE_DNS_TIMEOUT_MS", "1000")])
            .await;
    let tenant = world.create(world.ours, "tenant.com").await;
    assert!(unproven(&world, &tenant).await.contains("can't be looked up"));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_comes_over_tcp() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    for number in 0..40 {
        world.names.publish("tenant.com", &[&format!("{number}-{}", "x".repeat(200))]).await;
    }
    world.names.publish("tenant.com", &[&proof(&tenant)]).await;
    verify(&world, &tenant).await.expect(200);
    assert!(world.names.over_tcp() > 0);
}

#[tokio::test]
async fn the_first_to_prove_a_domain_has_it() {
    let world = World::start(Engine::Sqlite).await;
    let (ours, theirs) = (world.create(world.ours, "tenant.com").await, world.create(world.theirs, "tenant.com").await);
    assert_ne!(ours["id"], theirs["id"]);
    for tenant in [&ours, &theirs] {
        world.names.publish_proof(tenant).await;
    }
    world.by(world.theirs, "POST", &format!("{}/dns", of(&theirs)), Value::Null).await.expect(200);
    let late = verify(&world, &ours).await;
    assert!(refused(&late, 409).contains("verified by another account"));
    assert_eq!(world.read(world.ours, &ours).await["status"], "pending");
    // What is too late is deleted, and the account that has the domain is there.
    world.by(world.ours, "DELETE", &of(&ours), Value::Null).await.expect(200);
    let existing = world.create(world.ours, "tenant.com").await;
    assert_eq!((&existing["id"], &existing["status"]), (&theirs["id"], &json!("existing")));
}

#[tokio::test]
async fn one_domain_is_one_tenant_of_an_msp() {
    let world = World::start(Engine::Sqlite).await;
    let body = json!({"name": "Twice", "domain": "TENANT.com", "groups": []});
    let pending = world.create(world.ours, "tenant.com").await;
    refused(&world.by(world.ours, "POST", "", body.clone()).await, 409);
    world.names.publish_proof(&pending).await;
    verify(&world, &pending).await.expect(200);
    refused(&world.by(world.ours, "POST", "", body.clone()).await, 409);
    world.create(world.theirs, "tenant.com").await;
    refused(&world.by(world.theirs, "POST", "", body).await, 409);
}
