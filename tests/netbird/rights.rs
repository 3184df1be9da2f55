//! Every operation, every role, own and foreign tenants. The operations are those of the dialect's document, so a new one
//! is missing here until somebody says who may use it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenure::identity::Role;
use tenure_aggregates::TenantId;

use super::world::{World, of, refused};
use crate::service::{Answer, Engine, for_each_engine};

const BASE: &str = "/api/integrations/msp/tenants";

/// A body that reaches the tenant, and the roles of an MSP's people that may use the operation.
fn rights() -> BTreeMap<&'static str, (Value, &'static [Role])> {
    use Role::{Admin, Auditor, MspAdmin, PrimeAdmin, ReadOnly};
    const READ: &[Role] = &[MspAdmin, PrimeAdmin, Admin, Auditor, ReadOnly];
    const KEEP: &[Role] = &[MspAdmin, PrimeAdmin, Admin];
    const RUN: &[Role] = &[MspAdmin, PrimeAdmin];
    BTreeMap::from([
        ("GET ", (Value::Null, READ)),
        ("POST ", (json!({"name": "", "domain": "x.example", "groups": []}), RUN)),
        ("GET /{id}", (Value::Null, READ)),
        ("PUT /{id}", (json!({"name": "", "groups": []}), KEEP)),
        ("DELETE /{id}", (Value::Null, RUN)),
        ("POST /{id}/unlink", (json!({"owner": ""}), RUN)),
        ("POST /{id}/dns", (Value::Null, KEEP)),
        ("POST /{id}/subscription", (json!({"priceID": ""}), KEEP)),
        ("PUT /{id}/subscription", (json!({"priceID": ""}), KEEP)),
        ("POST /{id}/invite", (Value::Null, RUN)),
        ("PUT /{id}/invite", (json!({"value": "accept"}), &[])),
    ])
}

/// The operations of the dialect's document, as they stand below the list of tenants.
async fn operations(world: &World) -> Vec<(String, String)> {
    let document = Answer::of(world.service.request("GET", "/openapi/netbird.json")).await.expect(200);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.push((method.to_uppercase(), path.strip_prefix(BASE).unwrap().to_owned()));
        }
    }
    operations
}

async fn every_operation_asks_for_role_and_tenant(engine: Engine) {
    let world = World::start(engine).await;
    let theirs = world.create(world.theirs, "theirs.example").await;
    let native = world.service.tenant("native").await;
    let rights = rights();
    let operations = operations(&world).await;
    assert_eq!(operations.len(), rights.len());
    let mut made = 0;
    for (method, path) in operations {
        let (body, allowed) = &rights[format!("{method} {path}").as_str()];
        let unauthorized = Answer::of(world.service.request(&method, &format!("{BASE}{path}"))).await;
        assert_eq!(refused(&unauthorized, 401), "no valid authentication provided");
        for &role in Role::ALL {
            // Each role finds a tenant that nobody has deleted yet.
            made += 1;
            let ours = world.create(world.ours, &format!("ours{made}.example")).await;
            let token = world.token(role, world.ours, &[], None);
            let on = |tenant: &str| path.replace("/{id}", &format!("/{tenant}"));
            let own = world.ask(&token, &method, &on(ours["id"].as_str().unwrap()), body).await;
            if allowed.contains(&role) {
                assert!([200, 412, 422, 501].contains(&own.status), "{role} {method} {path}: {own:?}");
            } else {
                refused(&own, 403);
            }
            if path.contains("{id}") && allowed.contains(&role) {
                let nobodys = TenantId::from_uuid(uuid::Uuid::now_v7()).to_string();
                let foreign =
                    [theirs["id"].as_str().unwrap(), &nobodys, &world.theirs.to_string(), &world.ours.to_string()];
                // A body that passes, so that only the tenant can be wrong.
                let body = passing(body);
                for foreign in foreign.into_iter().chain([native.to_string().as_str(), "1", "x"]) {
                    let answer = world.ask(&token, &method, &on(foreign), &body).await;
                    assert_eq!(refused(&answer, 404), "tenant not found", "{role} {method} {path}");
                }
            }
            // People of a tenant have no tenants.
            let account = ours["id"].as_str().unwrap().parse().unwrap();
            let inside = world.token(role, account, &[], None);
            let answer = world.ask(&inside, &method, &on(&account.to_string()), body).await;
            let is_answer = format!("{method} {path}") == "PUT /{id}/invite" && role == Role::PrimeAdmin;
            if own.status != 200 || method != "DELETE" {
                refused(&answer, if is_answer { 412 } else { 403 });
            }
            if is_answer {
                refused(&world.ask(&inside, &method, &on(theirs["id"].as_str().unwrap()), body).await, 404);
            }
        }
    }
}

/// The same body with values that are fine.
fn passing(body: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in body.as_object_mut().into_iter().flatten() {
        match name.as_str() {
            "groups" | "value" => {}
            _ => *value = json!("price_1"),
        }
    }
    body
}

async fn two_msps_never_see_each_others_tenants(engine: Engine) {
    let world = World::start(engine).await;
    let (ours, theirs) = (world.create(world.ours, "a.example").await, world.create(world.theirs, "b.example").await);
    for (msp, own, foreign) in [(world.ours, &ours, &theirs), (world.theirs, &theirs, &ours)] {
        let domain = own["domain"].as_str().unwrap().to_owned();
        assert_eq!(world.listed(msp).await, [(domain, "pending".to_owned())]);
        refused(&world.by(msp, "GET", &of(foreign), Value::Null).await, 404);
    }
}

for_each_engine! {
    every_operation_asks_for_role_and_tenant
    two_msps_never_see_each_others_tenants
}
