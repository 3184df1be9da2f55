//! The curl lines of NetBird's documentation, run by a shell with a real curl. Only host, token and id are replaced.

use std::process::Stdio;

use serde_json::{Value, json};
use tenure::identity::Role;
use tokio::process::Command;

use super::world::World;
use crate::service::for_each_engine;

const LIST: &str = r"curl -X GET https://api.netbird.io/api/integrations/msp/tenants \
-H 'Accept: application/json' \
-H 'Authorization: Token <TOKEN>' ";
const CREATE: &str = r#"curl -X POST https://api.netbird.io/api/integrations/msp/tenants \
-H 'Accept: application/json' \
-H 'Content-Type: application/json' \
-H 'Authorization: Token <TOKEN>' \
--data-raw '{
  "name": "My new tenant",
  "domain": "tenant.com",
  "groups": [
    {
      "id": "ch8i4ug6lnn4g9hqv7m0",
      "role": "admin"
    }
  ]
}'"#;
const UPDATE: &str = r#"curl -X PUT https://api.netbird.io/api/integrations/msp/tenants/{id} \
-H 'Accept: application/json' \
-H 'Content-Type: application/json' \
-H 'Authorization: Token <TOKEN>' \
--data-raw '{
  "name": "My new tenant",
  "groups": [
    {
      "id": "ch8i4ug6lnn4g9hqv7m0",
      "role": "admin"
    }
  ]
}'"#;
const UNLINK: &str = r#"curl -X POST https://api.netbird.io/api/integrations/msp/tenants/{id}/unlink \
-H 'Content-Type: application/json' \
-H 'Authorization: Token <TOKEN>' \
--data-raw '{
  "owner": "google-oauth2|123456789012345678901"
}'"#;
const DNS: &str = r"curl -X POST https://api.netbird.io/api/integrations/msp/tenants/{id}/dns \
-H 'Authorization: Token <TOKEN>' ";
const SUBSCRIPTION: &str = r#"curl -X POST https://api.netbird.io/api/integrations/msp/tenants/{id}/subscription \
-H 'Content-Type: application/json' \
-H 'Authorization: Token <TOKEN>' \
--data-raw '{
  "priceID": "price_1HhxOpBzq4JbCqRmJxkpzL2V"
}'"#;
const INVITE: &str = r"curl -X POST https://api.netbird.io/api/integrations/msp/tenants/{id}/invite \
-H 'Accept: application/json' \
-H 'Authorization: Token <TOKEN>' ";
const RESPOND: &str = r#"curl -X PUT https://api.netbird.io/api/integrations/msp/tenants/{id}/invite \
-H 'Content-Type: application/json' \
-H 'Authorization: Token <TOKEN>' \
--data-raw '{
  "value": {
    "type": "string",
    "description": "Accept or decline the invitation.",
    "enum": [
      "accept",
      "decline"
    ]
  }
}'"#;

/// Status and body of a line.
async fn run(world: &World, line: &str, id: &str, token: &str) -> (u16, Value) {
    let script = line
        .replace("https://api.netbird.io", &world.service.url)
        .replace("{id}", id)
        .replace("<TOKEN>", token)
        .replace("curl ", "curl -s -w '\\n%{http_code}' ");
    let output = Command::new("bash").args(["-euo", "pipefail", "-c", &script]).stdin(Stdio::null()).output().await;
    let output = output.unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap())
}

async fn every_line_of_the_documentation_answers(engine: crate::service::Engine) {
    let world = World::start(engine).await;
    let ours = world.api_token(world.token(Role::MspAdmin, world.ours, &[], None), Role::MspAdmin).await;
    let theirs = world.api_token(world.token(Role::MspAdmin, world.theirs, &[], None), Role::MspAdmin).await;
    assert_eq!(run(&world, LIST, "", &ours).await, (200, json!([])));
    let (status, tenant) = run(&world, CREATE, "", &ours).await;
    assert_eq!((status, &tenant["status"]), (200, &json!("pending")));
    let id = tenant["id"].as_str().unwrap();
    assert_eq!(run(&world, LIST, "", &ours).await, (200, json!([tenant])));
    let (status, unproven) = run(&world, DNS, id, &ours).await;
    assert_eq!((status, &unproven["dns_challenge"]), (501, &tenant["dns_challenge"]));
    world.names.publish_proof(&tenant).await;
    assert_eq!(run(&world, DNS, id, &ours).await, (200, json!({})));
    assert_eq!(run(&world, SUBSCRIPTION, id, &ours).await, (200, json!({})));
    let (status, updated) = run(&world, UPDATE, id, &ours).await;
    assert_eq!((status, &updated["status"], &updated["groups"]), (200, &json!("active"), &tenant["groups"]));
    assert_eq!(run(&world, UNLINK, id, &ours).await, (200, json!({})));

    let (status, existing) = run(&world, CREATE, "", &theirs).await;
    assert_eq!((status, &existing["id"], &existing["status"]), (200, &tenant["id"], &json!("existing")));
    let (status, invited) = run(&world, INVITE, id, &theirs).await;
    assert_eq!((status, &invited["status"]), (200, &json!("invited")));
    // The object in the document's line stands for a plain string.
    let owner = world.token(Role::PrimeAdmin, id.parse().unwrap(), &[], None);
    let owner = world.api_token(owner, Role::PrimeAdmin).await;
    let (status, wrong) = run(&world, RESPOND, id, &owner).await;
    assert_eq!((status, &wrong["code"]), (422, &json!(422)));
    let plain = format!("{} '{{\"value\": \"accept\"}}'", RESPOND.split(" '{").next().unwrap());
    assert_eq!(run(&world, &plain, id, &owner).await, (200, json!({})));
    let (status, list) = run(&world, LIST, "", &theirs).await;
    assert_eq!((status, &list[0]["status"]), (200, &json!("active")));
}

for_each_engine! {
    every_line_of_the_documentation_answers
}
