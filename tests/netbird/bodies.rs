//! What clients send, and what they get back when it is wrong.

use serde_json::{Value, json};
use tenure::identity::Role;

use super::world::{TENANTS, World, of, refused};
use crate::service::{Answer, Engine};

#[tokio::test]
async fn requests_without_a_body_are_taken_as_clients_send_them() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.verified(world.ours, "tenant.com").await;
    let path = |what: &str| format!("{TENANTS}{}/{what}", of(&tenant));
    let dns = || world.service.as_msp("POST", &path("dns"));
    for request in [
        dns(),
        dns().header("content-length", "0"),
        dns().header("content-type", "application/json").body(""),
        dns().header("content-type", "application/json").body("{}"),
        dns().body("{}"),
    ] {
        assert_eq!(Answer::of(request).await.expect(200), json!({}));
    }
    world.create(world.theirs, "tenant.com").await;
    let token = world.token(Role::MspAdmin, world.theirs, &[], None);
    let invite = || world.service.request("POST", &path("invite")).bearer_auth(&token);
    for request in [invite(), invite().header("content-type", "application/json"), invite().json(&json!({}))] {
        assert_eq!(Answer::of(request).await.expect(200)["status"], "invited");
    }
    let delete = world.service.as_msp("DELETE", &format!("{TENANTS}{}", of(&tenant)));
    Answer::of(delete.header("content-type", "application/json").body("{}")).await.expect(200);
}

#[tokio::test]
async fn a_wrong_field_is_422_and_unreadable_json_400() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    let good = json!({"name": "T", "domain": "other.example", "groups": []});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let without = |field: &str| {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for body in [
        without("name"),
        without("domain"),
        without("groups"),
        with("name", json!("")),
        with("name", json!("x".repeat(101))),
        with("name", Value::Null),
        with("name", json!(7)),
        with("domain", json!("localhost")),
        with("domain", json!("192.0.2.7")),
        with("domain", json!("a b.example")),
        with("groups", json!({})),
        with("groups", json!([{"id": "g1"}])),
        with("groups", json!([["g1", "admin"]])),
        with("groups", json!([{"id": "g1", "role": "root"}])),
        with("groups", json!([{"id": "", "role": "admin"}])),
        with("groups", json!(vec![json!({"id": "g", "role": "user"}); 101])),
        json!([]),
        json!(["T", "other.example", []]),
        json!("text"),
    ] {
        refused(&world.by(world.ours, "POST", "", body).await, 422);
    }
    assert!(
        refused(&world.by(world.ours, "POST", "", with("domain", json!("x"))).await, 422).starts_with("domain must")
    );
    for (method, what, body) in [
        ("PUT", "", json!({"name": "T"})),
        ("PUT", "", json!({"groups": []})),
        ("POST", "/unlink", json!({})),
        ("POST", "/unlink", json!({"owner": ""})),
        ("POST", "/subscription", json!({"priceId": "price_1"})),
        ("POST", "/subscription", json!({"priceID": "a b"})),
    ] {
        refused(&world.by(world.ours, method, &format!("{}{what}", of(&tenant)), body).await, 422);
    }
    let objects = [json!({"type": "string", "enum": ["accept", "decline"]}), json!({"accept": null})];
    let values = objects.into_iter().chain([json!("maybe"), json!("Accept"), Value::Null, json!(1), json!(["accept"])]);
    for body in values.map(|value| json!({"value": value})).chain([json!({})]) {
        refused(&world.by_owner(&tenant, "PUT", &format!("{}/invite", of(&tenant)), body).await, 422);
    }
    // What is known to others is passed over.
    world.by(world.ours, "POST", "", with("future", json!(1))).await.expect(200);

    let raw = |text: &str| {
        let request = world.service.as_msp("POST", TENANTS).header("content-type", "application/json");
        Answer::of(request.body(text.to_owned()))
    };
    for text in ["", "{", "{\"name\"", "nonsense", "{\"name\": \"a\\u0000b\"}"] {
        refused(&raw(text).await, 400);
    }
    refused(&Answer::of(world.service.as_msp("POST", TENANTS).body("{}")).await, 415);
    refused(&raw(&format!("{{\"name\": \"{}\"}}", "x".repeat(70_000))).await, 413);
}

#[tokio::test]
async fn every_error_on_these_paths_has_a_body() {
    let world = World::start(Engine::Sqlite).await;
    let tenant = world.create(world.ours, "tenant.com").await;
    let tenant = of(&tenant);
    for path in ["", "/", "/x", "/tenants/", "/tenants/1/2", "/tenants/1/2/3"] {
        refused(&Answer::of(world.service.as_msp("GET", &format!("/api/integrations/msp{path}"))).await, 404);
    }
    for (method, path, allow) in [
        ("PATCH", String::new(), "GET, HEAD, POST"),
        ("POST", tenant.clone(), "GET, HEAD, PUT, DELETE"),
        ("GET", format!("{tenant}/unlink"), "POST"),
        ("DELETE", format!("{tenant}/dns"), "POST"),
        ("GET", format!("{tenant}/subscription"), "POST, PUT"),
        ("GET", format!("{tenant}/invite"), "POST, PUT"),
    ] {
        let answer = Answer::of(world.service.as_msp(method, &format!("{TENANTS}{path}"))).await;
        refused(&answer, 405);
        assert_eq!(answer.header("allow"), allow);
    }
    let authorized = |value: &str| Answer::of(world.service.request("GET", TENANTS).header("authorization", value));
    assert_eq!(
        refused(&Answer::of(world.service.request("GET", TENANTS)).await, 401),
        "no valid authentication provided"
    );
    assert_eq!(refused(&authorized("Basic eDp5").await, 401), "no valid authentication provided");
    for value in ["Bearer x", "Bearer a.b.c", "Token nbp_x", "Bearer nbp_x", "Token x"] {
        let answer = authorized(value).await;
        assert_eq!(refused(&answer, 401), "token invalid", "{value}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{value}");
    }
    // Elsewhere the native form stays.
    Answer::of(world.service.as_msp("GET", "/api/integrations/mspx")).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn too_many_requests_are_told_when_to_come_back() {
    let world = World::start_with(Engine::Sqlite, &[("TENURE_REQUESTS_PER_MINUTE", "2")]).await;
    world.by(world.ours, "GET", "", Value::Null).await.expect(200);
    world.by(world.ours, "GET", "", Value::Null).await.expect(200);
    let answer = world.by(world.ours, "GET", "", Value::Null).await;
    refused(&answer, 429);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn a_read_waits_for_the_position_that_it_names() {
    let world = World::start(Engine::Sqlite).await;
    let body = json!({"name": "T", "domain": "tenant.com", "groups": []});
    let made = world.by(world.ours, "POST", "", body).await;
    let ask = |position: &str| {
        let request = world.service.as_msp("GET", TENANTS).header("tenure-min-position", position);
        Answer::of(request)
    };
    assert_eq!(ask(made.header("tenure-position")).await.expect(200).as_array().unwrap().len(), 1);
    refused(&ask("99999").await, 503);
    refused(&ask("x").await, 400);
}

#[tokio::test]
async fn the_document_refers_only_to_what_it_holds() {
    let world = World::start(Engine::Sqlite).await;
    let answer = Answer::of(world.service.request("GET", "/openapi/netbird.json")).await;
    let document = answer.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for reference in answer.text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
    }
    let page = Answer::of(world.service.request("GET", "/docs/netbird")).await;
    assert!(page.status == 200 && page.text.contains("dns_challenge") && page.text.contains("/openapi/netbird.json"));
    let tenant = &document["components"]["schemas"]["Tenant"];
    let required = ["id", "name", "domain", "groups", "dns_challenge", "created_at", "updated_at", "status"];
    assert_eq!(tenant["required"], json!(required));
}
