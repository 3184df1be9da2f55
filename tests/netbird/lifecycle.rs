//! A tenant from its creation to its end, and how the native API sees it after each step.

use serde_json::{Value, json};
use tenure::identity::Role;

use super::world::{World, of, refused};
use crate::service::{Answer, for_each_engine};

async fn bill(world: &World, msp: tenure_aggregates::TenantId) -> Vec<String> {
    let token = world.token(Role::MspAdmin, msp, &[], None);
    let request = world.service.request("GET", "/api/v1/msp/billing-events").bearer_auth(token);
    let events = Answer::of(request).await.expect(200);
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

async fn a_new_tenant_is_pending_until_its_domain_is_verified(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let body = json!({"name": "My new tenant", "domain": "Tenant.COM", "groups": [{"id": "g1", "role": "admin"}]});
    let answer = world.by(world.ours, "POST", "", body).await;
    let made = answer.expect(200);
    assert!(answer.header("tenure-position").parse::<u64>().is_ok());
    let mut fields: Vec<_> = made.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let required = ["created_at", "dns_challenge", "domain", "groups", "id", "name", "status", "updated_at"];
    assert_eq!(fields, required, "what is not there is left out, never null");
    assert_eq!((&made["name"], &made["domain"]), (&json!("My new tenant"), &json!("tenant.com")));
    assert_eq!((&made["groups"], &made["status"]), (&json!([{"id": "g1", "role": "admin"}]), &json!("pending")));
    assert_eq!(made["created_at"], made["updated_at"]);
    let challenge = made["dns_challenge"].as_str().unwrap();
    assert!(challenge.len() >= 22 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    assert_eq!(world.by(world.ours, "GET", "", Value::Null).await.expect(200), json!([made]));
    assert_eq!(world.read(world.ours, &made).await, made);
    let native = world.native(world.ours, &made).await.expect(200);
    assert_eq!((&native["shortCode"], &native["displayName"]), (&json!("my-new-tenant"), &json!("My new tenant")));
    assert_eq!((&native["status"], &native["tenantId"]), (&json!("active"), &made["id"]));

    let unproven = world.by(world.ours, "POST", &format!("{}/dns", of(&made)), Value::Null).await;
    refused(&unproven, 501);
    assert_eq!(unproven.expect(501)["dns_challenge"], made["dns_challenge"]);
    assert_eq!(world.read(world.ours, &made).await, made, "it stays pending");
    world.names.publish_proof(&made).await;
    let proven = world.by(world.ours, "POST", &format!("{}/dns", of(&made)), Value::Null).await;
    assert_eq!(proven.expect(200), json!({}));
    let active = world.read(world.ours, &made).await;
    assert_eq!((&active["status"], &active["activated_at"]), (&json!("active"), &active["updated_at"]));
    assert!(active.get("invited_at").is_none() && active["dns_challenge"] == made["dns_challenge"]);
    let again = world.by(world.ours, "POST", &format!("{}/dns", of(&made)), Value::Null).await;
    assert_eq!((again.expect(200), again.header("tenure-position")), (json!({}), ""), "there is nothing left to prove");
    world.native(world.ours, &made).await.expect(200);
}

async fn an_update_is_seen_in_both_dialects(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    let body = json!({"name": "Renamed", "groups": [{"id": "g2", "role": "auditor"}]});
    let changed = world.by(world.ours, "PUT", &of(&tenant), body).await.expect(200);
    assert_eq!((&changed["name"], &changed["groups"][0]["role"]), (&json!("Renamed"), &json!("auditor")));
    assert_eq!((&changed["domain"], &changed["created_at"]), (&tenant["domain"], &tenant["created_at"]));
    assert!(changed["updated_at"].as_str() > tenant["updated_at"].as_str());
    assert_eq!(world.by(world.ours, "GET", "", Value::Null).await.expect(200), json!([changed]));
    assert_eq!(world.native(world.ours, &tenant).await.expect(200)["displayName"], "Renamed");
    let nobody = json!({"name": "Renamed", "groups": null});
    assert_eq!(world.by(world.ours, "PUT", &of(&tenant), nobody).await.expect(200)["groups"], json!([]));
}

async fn tenants_of_one_name_get_short_codes_with_numbers(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let mut codes = Vec::new();
    for number in 0..8 {
        let body = json!({"name": "Acme Inc.", "domain": format!("acme{number}.example"), "groups": []});
        let made = world.by(world.ours, "POST", "", body).await.expect(200);
        let native = world.native(world.ours, &made).await.expect(200);
        codes.push(native["shortCode"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes[..5], ["acme-inc", "acme-inc-2", "acme-inc-3", "acme-inc-4", "acme-inc-5"]);
    assert!(codes[5..].iter().all(|code| code.strip_prefix("acme-inc-").unwrap().parse::<u32>().unwrap() >= 100_000));
}

async fn a_deleted_tenant_is_gone_here_and_in_retention_natively(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let (pending, active) =
        (world.create(world.ours, "a.example").await, world.verified(world.ours, "b.example").await);
    for tenant in [&pending, &active] {
        assert_eq!(world.by(world.ours, "DELETE", &of(tenant), json!({})).await.expect(200), json!({}));
        refused(&world.by(world.ours, "GET", &of(tenant), Value::Null).await, 404);
        refused(&world.by(world.ours, "DELETE", &of(tenant), Value::Null).await, 404);
        refused(&world.by(world.ours, "POST", &format!("{}/dns", of(tenant)), Value::Null).await, 404);
        assert_eq!(world.native(world.ours, tenant).await.expect(200)["status"], "deprovisioning");
    }
    assert_eq!(world.listed(world.ours).await, []);
    // The unproven domain is free at once, the proven one is kept through retention.
    assert_eq!(world.create(world.ours, "a.example").await["status"], "pending");
    let body = json!({"name": "b", "domain": "b.example", "groups": []});
    refused(&world.by(world.ours, "POST", "", body.clone()).await, 409);
    refused(&world.by(world.theirs, "POST", "", body).await, 409);

    // Restored by support, it is there again.
    let path = format!("/api/v1/msp/tenants/{}/restore", active["id"].as_str().unwrap());
    let support = world.token(Role::Support, world.ours, &[], None);
    let restore = world.service.request("POST", &path).bearer_auth(support).json(&json!({"reason": "a mistake"}));
    Answer::of(restore).await.expect(200);
    assert_eq!(world.read(world.ours, &active).await, active);
}

async fn a_suspended_tenant_keeps_its_status_here(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.verified(world.ours, "tenant.com").await;
    let id = tenant["id"].as_str().unwrap();
    world.service.post_nothing(&format!("/api/v1/msp/tenants/{id}/suspend")).await.expect(200);
    assert_eq!(world.read(world.ours, &tenant).await, tenant);
    assert_eq!(world.listed(world.ours).await, [("tenant.com".to_owned(), "active".to_owned())]);
    let owner = world.by_owner(&tenant, "PUT", &format!("{}/invite", of(&tenant)), json!({"value": "accept"})).await;
    refused(&owner, 403);
    let unlink = world.by(world.ours, "POST", &format!("{}/unlink", of(&tenant)), json!({"owner": "x"})).await;
    refused(&unlink, 412);
}

async fn a_subscription_is_billed_when_it_changes(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    let path = format!("{}/subscription", of(&tenant));
    let price = |price: &str| json!({"priceID": price});
    refused(&world.by(world.ours, "POST", &path, price("price_1")).await, 412);
    world.names.publish_proof(&tenant).await;
    world.by(world.ours, "POST", &format!("{}/dns", of(&tenant)), Value::Null).await.expect(200);
    for (method, id, changes) in [("POST", "price_1", true), ("POST", "price_1", false), ("PUT", "price_2", true)] {
        let answer = world.by(world.ours, method, &path, price(id)).await;
        assert_eq!(answer.expect(200), json!({}));
        assert_eq!(!answer.header("tenure-position").is_empty(), changes, "{method} {id}");
    }
    let changed = ["tenant.provisioned", "tenant.subscription.changed", "tenant.subscription.changed"];
    assert_eq!(bill(&world, world.ours).await, changed);
    let prices = world.service.get("/api/v1/msp/billing-events?type=tenant.subscription.changed").await.expect(200);
    assert_eq!((&prices[0]["priceId"], &prices[1]["priceId"]), (&json!("price_1"), &json!("price_2")));
}

async fn an_account_leaves_its_msp_and_joins_another(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.verified(world.ours, "tenant.com").await;
    let path = |what: &str| format!("{}/{what}", of(&tenant));
    world.by(world.ours, "POST", &path("subscription"), json!({"priceID": "price_1"})).await.expect(200);

    // Of another MSP it is an existing account, and stays out of reach until it is let go.
    let seen = world.create(world.theirs, "tenant.com").await;
    assert_eq!((&seen["id"], &seen["status"]), (&tenant["id"], &json!("existing")));
    world.native(world.theirs, &tenant).await.expect_problem(404, "not-found");
    for (method, path, body) in [
        ("PUT", of(&tenant), json!({"name": "x", "groups": []})),
        ("POST", path("unlink"), json!({"owner": "x"})),
        ("POST", path("dns"), Value::Null),
        ("POST", path("subscription"), json!({"priceID": "price_1"})),
    ] {
        refused(&world.by(world.theirs, method, &path, body).await, 412);
    }
    let invited = world.by(world.theirs, "POST", &path("invite"), Value::Null).await.expect(200);
    assert_eq!((&invited["status"], &invited["invited_at"]), (&json!("invited"), &invited["updated_at"]));
    let accept = json!({"value": "accept"});
    refused(&world.by_owner(&tenant, "PUT", &path("invite"), accept.clone()).await, 409);

    let owner = "google-oauth2|123456789012345678901";
    let unlinked = world.by(world.ours, "POST", &path("unlink"), json!({"owner": owner})).await;
    assert_eq!(unlinked.expect(200), json!({}));
    refused(&world.by(world.ours, "GET", &of(&tenant), Value::Null).await, 404);
    world.native(world.ours, &tenant).await.expect_problem(404, "not-found");
    assert_eq!(world.listed(world.ours).await, []);
    let billed = ["tenant.provisioned", "tenant.subscription.changed", "tenant.unlinked"];
    assert_eq!(bill(&world, world.ours).await, billed);

    // The named owner is one, whatever its token says.
    let id = tenant["id"].as_str().unwrap().parse().unwrap();
    let owners = world.token(Role::ReadOnly, id, &[], Some(owner));
    let others = world.token(Role::ReadOnly, id, &[], Some("google-oauth2|2"));
    refused(&world.ask(&others, "PUT", &path("invite"), &accept).await, 403);
    assert_eq!(world.ask(&owners, "PUT", &path("invite"), &json!({"value": "decline"})).await.expect(200), json!({}));
    let declined = world.read(world.theirs, &tenant).await;
    assert!(declined["status"] == "existing" && declined.get("invited_at").is_none(), "{declined}");
    refused(&world.ask(&owners, "PUT", &path("invite"), &accept).await, 412);
    world.by(world.theirs, "POST", &path("invite"), Value::Null).await.expect(200);
    assert_eq!(world.ask(&owners, "PUT", &path("invite"), &accept).await.expect(200), json!({}));

    let joined = world.read(world.theirs, &tenant).await;
    assert_eq!((&joined["status"], &joined["activated_at"]), (&json!("active"), &joined["updated_at"]));
    assert!(joined["invited_at"].is_string());
    let detail = world.native(world.theirs, &tenant).await.expect(200);
    assert_eq!(detail["status"], "active");
    assert_eq!(detail["contactEmail"], "a@theirs.example", "the other MSP's address is none of this one's business");
    assert_eq!(bill(&world, world.theirs).await, ["tenant.joined"]);
    // Who agreed is an administrator like others now.
    let was_owner = world.token(Role::PrimeAdmin, id, &[], Some(owner));
    let me = Answer::of(world.service.request("GET", "/api/v1/me").bearer_auth(was_owner)).await.expect(200);
    assert_eq!(me["role"], "admin");
    // Its domain is its own still.
    assert_eq!(world.create(world.ours, "tenant.com").await["status"], "existing");
}

async fn an_existing_account_can_be_given_up(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.verified(world.ours, "tenant.com").await;
    for invited in [false, true] {
        let seen = world.create(world.theirs, "tenant.com").await;
        if invited {
            world.by(world.theirs, "POST", &format!("{}/invite", of(&seen)), Value::Null).await.expect(200);
        }
        assert_eq!(world.by(world.theirs, "DELETE", &of(&seen), Value::Null).await.expect(200), json!({}));
        refused(&world.by(world.theirs, "GET", &of(&seen), Value::Null).await, 404);
    }
    let owner = world.by_owner(&tenant, "PUT", &format!("{}/invite", of(&tenant)), json!({"value": "accept"})).await;
    refused(&owner, 412);
    assert_eq!(world.read(world.ours, &tenant).await, tenant, "nothing happened to it");
}

async fn what_is_remembered_survives_a_restart(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.verified(world.ours, "tenant.com").await;
    let groups = json!({"name": "T", "groups": [{"id": "g1", "role": "auditor"}]});
    let tenant = world.by(world.ours, "PUT", &of(&tenant), groups).await.expect(200);
    let unlinked = world.verified(world.ours, "other.example").await;
    let path = format!("{}/unlink", of(&unlinked));
    world.by(world.ours, "POST", &path, json!({"owner": "the-owner"})).await.expect(200);

    let World { service, names, ours, theirs } = world;
    let config = service.config.clone();
    let file = config.data_dir.parent().unwrap().join("tenure.toml");
    let server = names.address.to_string();
    let settings = [("TENURE_CONFIG", file.to_str().unwrap().to_owned()), ("TENURE_DNS_SERVER", server)];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let service = crate::service::Service::start_with(service.stop(), &settings);
    let world = World { service, names, ours, theirs };
    let auditor = world.token(Role::Billing, world.ours, &["g1"], None);
    assert_eq!(world.ask(&auditor, "GET", &of(&tenant), &Value::Null).await.expect(200), tenant);
    let id = unlinked["id"].as_str().unwrap().parse().unwrap();
    let owner = world.token(Role::ReadOnly, id, &[], Some("the-owner"));
    let me = Answer::of(world.service.request("GET", "/api/v1/me").bearer_auth(owner)).await.expect(200);
    assert_eq!(me["role"], "prime-admin");
}

for_each_engine! {
    a_new_tenant_is_pending_until_its_domain_is_verified
    an_update_is_seen_in_both_dialects
    tenants_of_one_name_get_short_codes_with_numbers
    a_deleted_tenant_is_gone_here_and_in_retention_natively
    a_suspended_tenant_keeps_its_status_here
    a_subscription_is_billed_when_it_changes
    an_account_leaves_its_msp_and_joins_another
    an_existing_account_can_be_given_up
    what_is_remembered_survives_a_restart
}
