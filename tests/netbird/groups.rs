//! An MSP's groups have the access that a tenant's list gives them, and no other.

use serde_json::{Value, json};
use tenure::identity::Role;

use super::world::{World, of, refused};
use crate::service::{Answer, for_each_engine};

async fn grouped(world: &World, domain: &str, groups: Value) -> Value {
    let body = json!({"name": domain, "domain": domain, "groups": groups});
    world.by(world.ours, "POST", "", body).await.expect(200)
}

async fn a_group_of_auditors_reads_its_tenant_and_nothing_else(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let open = grouped(&world, "open.example", json!([{"id": "g1", "role": "auditor"}])).await;
    let closed = grouped(&world, "closed.example", json!([{"id": "g2", "role": "auditor"}])).await;
    // A role that gives nothing here by itself.
    let auditor = world.token(Role::Billing, world.ours, &["g1", "gx"], None);
    assert_eq!(world.ask(&auditor, "GET", "", &Value::Null).await.expect(200), json!([open]));
    assert_eq!(world.ask(&auditor, "GET", &of(&open), &Value::Null).await.expect(200), open);
    refused(&world.ask(&auditor, "GET", &of(&closed), &Value::Null).await, 404);
    let update = json!({"name": "x", "groups": []});
    refused(&world.ask(&auditor, "PUT", &of(&open), &update).await, 403);
    refused(&world.ask(&auditor, "DELETE", &of(&open), &Value::Null).await, 403);
    refused(&world.ask(&auditor, "POST", "", &json!({"name": "x", "domain": "x.example", "groups": []})).await, 403);
    // The same in the native API.
    let native = async |tenant: &Value, method: &str, body: Value| {
        let path = format!("/api/v1/msp/tenants/{}", tenant["id"].as_str().unwrap());
        let request = world.service.request(method, &path).bearer_auth(&auditor);
        Answer::of(if body.is_null() { request } else { request.json(&body) }).await
    };
    assert_eq!(native(&open, "GET", Value::Null).await.expect(200)["tenantId"], open["id"]);
    native(&closed, "GET", Value::Null).await.expect_problem(404, "not-found");
    native(&open, "PATCH", json!({"maxUsers": 5})).await.expect_problem(403, "role-forbidden");

    // Whom the list names no more is out at once.
    world.by(world.ours, "PUT", &of(&open), json!({"name": "x", "groups": []})).await.expect(200);
    refused(&world.ask(&auditor, "GET", &of(&open), &Value::Null).await, 403);
    refused(&world.ask(&auditor, "GET", "", &Value::Null).await, 403);
}

async fn a_group_of_admins_changes_its_tenant(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant =
        grouped(&world, "open.example", json!([{"id": "g1", "role": "auditor"}, {"id": "g2", "role": "admin"}])).await;
    let both = world.token(Role::ReportsAdmin, world.ours, &["g1", "g2"], None);
    let groups = tenant["groups"].clone();
    let renamed =
        world.ask(&both, "PUT", &of(&tenant), &json!({"name": "Renamed", "groups": groups})).await.expect(200);
    assert_eq!(renamed["name"], "Renamed", "the highest role counts");
    world.names.publish_proof(&tenant).await;
    world.ask(&both, "POST", &format!("{}/dns", of(&tenant)), &Value::Null).await.expect(200);
    let price = json!({"priceID": "price_1"});
    world.ask(&both, "POST", &format!("{}/subscription", of(&tenant)), &price).await.expect(200);
    for (method, path, body) in [
        ("DELETE", of(&tenant), Value::Null),
        ("POST", format!("{}/unlink", of(&tenant)), json!({"owner": "me"})),
        ("POST", format!("{}/invite", of(&tenant)), Value::Null),
    ] {
        refused(&world.ask(&both, method, &path, &body).await, 403);
    }
    let path = format!("/api/v1/msp/tenants/{}", tenant["id"].as_str().unwrap());
    let limit = world.service.request("PATCH", &path).bearer_auth(&both).json(&json!({"maxUsers": 5}));
    assert_eq!(Answer::of(limit).await.expect(200)["maxUsers"], 5);
    let suspend = world.service.request("POST", &format!("{path}/suspend")).bearer_auth(&both);
    Answer::of(suspend).await.expect_problem(403, "role-forbidden");
}

async fn a_group_means_something_in_its_own_msp_only(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = grouped(&world, "open.example", json!([{"id": "g1", "role": "owner"}])).await;
    let strangers = world.token(Role::Billing, world.theirs, &["g1"], None);
    refused(&world.ask(&strangers, "GET", &of(&tenant), &Value::Null).await, 403);
    let admins = world.token(Role::MspAdmin, world.theirs, &["g1"], None);
    refused(&world.ask(&admins, "GET", &of(&tenant), &Value::Null).await, 404);
    // An account that is not managed yet lets nobody in.
    let account = world.verified(world.theirs, "theirs.example").await;
    let body = json!({"name": "t", "domain": "theirs.example", "groups": [{"id": "g1", "role": "owner"}]});
    assert_eq!(world.by(world.ours, "POST", "", body).await.expect(200)["status"], "existing");
    let ours = world.token(Role::Billing, world.ours, &["g1"], None);
    refused(&world.ask(&ours, "GET", &of(&account), &Value::Null).await, 404);
}

async fn an_api_token_brings_its_groups(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = grouped(&world, "open.example", json!([{"id": "g1", "role": "auditor"}])).await;
    let other = grouped(&world, "closed.example", json!([])).await;
    let body = json!({"name": "audit", "role": "billing", "groups": ["g1"], "expiresInDays": 1});
    let granter = world.token(Role::MspAdmin, world.ours, &["g1"], None);
    let made = Answer::of(world.service.request("POST", "/api/v1/tokens").bearer_auth(granter).json(&body)).await;
    let token = made.expect(201)["token"].as_str().unwrap().to_owned();
    for scheme in ["Token", "token", "Bearer", "BEARER"] {
        let ask = async |path: String| {
            let request = world.service.request("GET", &format!("{}{path}", super::world::TENANTS));
            Answer::of(request.header("authorization", format!("{scheme} {token}"))).await
        };
        assert_eq!(ask(of(&tenant)).await.expect(200), tenant);
        refused(&ask(of(&other)).await, 404);
    }
}

async fn an_api_token_dies_when_its_tenant_changes_hands(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = world.verified(world.ours, "tenant.com").await;
    let body = json!({"name": "inside", "role": "prime-admin", "tenantId": tenant["id"], "expiresInDays": 1});
    let made = world.service.post("/api/v1/tokens", &body).await.expect(201);
    let me = async || {
        let request = world.service.request("GET", "/api/v1/me");
        let token = format!("Token {}", made["token"].as_str().unwrap());
        Answer::of(request.header("authorization", token)).await
    };
    assert_eq!(me().await.expect(200)["tenant"], tenant["id"]);
    world.by(world.ours, "POST", &format!("{}/unlink", of(&tenant)), json!({"owner": "somebody"})).await.expect(200);
    me().await.expect_problem(401, "token-invalid");
}

#[tokio::test]
async fn a_list_of_several_pages_is_whole_for_whoever_sees_a_part_of_it() {
    const TENANTS: usize = 450;
    let world = World::start(crate::service::Engine::Sqlite).await;
    // In each page, in none but the first and the last, nowhere.
    let groups = |number: usize| match number {
        0 | 449 => json!([{"id": "ends", "role": "auditor"}, {"id": "each", "role": "auditor"}]),
        250 => json!([{"id": "each", "role": "auditor"}]),
        _ => json!([]),
    };
    let mut made = Vec::new();
    for number in 0..TENANTS {
        made.push(grouped(&world, &format!("t{number}.example"), groups(number)).await["domain"].clone());
    }
    let domains = async |token: String| {
        let list = world.ask(&token, "GET", "", &Value::Null).await.expect(200);
        list.as_array().unwrap().iter().map(|tenant| tenant["domain"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(domains(world.token(Role::MspAdmin, world.ours, &[], None)).await, made);
    let of_group = |group: &str| world.token(Role::Billing, world.ours, &[group], None);
    assert_eq!(domains(of_group("each")).await, ["t0.example", "t250.example", "t449.example"]);
    assert_eq!(domains(of_group("ends")).await, ["t0.example", "t449.example"]);
    assert_eq!(domains(world.token(Role::MspAdmin, world.theirs, &[], None)).await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_group_is_not_let_into_a_tenant_that_its_instance_has_not_heard_of() {
    let world = World::start(crate::service::Engine::Postgres).await;
    grouped(&world, "open.example", json!([{"id": "g1", "role": "auditor"}])).await;
    let there = world.beside();
    let auditor = world.token(Role::Billing, world.ours, &["g1"], None);
    for number in 0..10 {
        let other = world.service.tenant(&format!("other-{number}")).await;
        let request = there.request("GET", &format!("/api/v1/msp/tenants/{other}")).bearer_auth(&auditor);
        Answer::of(request).await.expect_problem(404, "not-found");
    }
}

async fn account_acts_inside_a_tenant(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let tenant = grouped(&world, "open.example", json!([{"id": "g1", "role": "auditor"}])).await;
    let theirs = world.create(world.theirs, "theirs.example").await;
    let gone = grouped(&world, "gone.example", json!([])).await;
    let inside = |id: &str| format!("?account={id}");
    let own = world.by(world.ours, "GET", &inside(&world.ours.to_string()), Value::Null).await;
    assert_eq!(own.expect(200), json!([tenant, gone]));
    for foreign in
        [theirs["id"].as_str().unwrap(), &world.theirs.to_string(), "0198a1b2-c3d4-7000-8000-000000000001", "x", ""]
    {
        refused(&world.by(world.ours, "GET", &inside(foreign), Value::Null).await, 404);
    }
    // Inside a tenant there are no tenants.
    refused(&world.by(world.ours, "GET", &inside(tenant["id"].as_str().unwrap()), Value::Null).await, 403);
    let auditor = world.token(Role::Billing, world.ours, &["g1"], None);
    refused(&world.ask(&auditor, "GET", &inside(tenant["id"].as_str().unwrap()), &Value::Null).await, 403);
    // One that is being deleted is absent here.
    world.by(world.ours, "DELETE", &of(&gone), Value::Null).await.expect(200);
    refused(&world.by(world.ours, "GET", &inside(gone["id"].as_str().unwrap()), Value::Null).await, 404);
    let nobody = world.token(Role::Billing, world.ours, &["g2"], None);
    refused(&world.ask(&nobody, "GET", &inside(tenant["id"].as_str().unwrap()), &Value::Null).await, 404);
    assert_eq!(world.by(world.ours, "GET", "?unknown=1", Value::Null).await.expect(200), json!([tenant]));
}

for_each_engine! {
    a_group_of_auditors_reads_its_tenant_and_nothing_else
    a_group_of_admins_changes_its_tenant
    a_group_means_something_in_its_own_msp_only
    an_api_token_brings_its_groups
    an_api_token_dies_when_its_tenant_changes_hands
    account_acts_inside_a_tenant
}
