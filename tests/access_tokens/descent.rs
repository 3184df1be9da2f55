//! A token that was made with another is good only while that one is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenure::identity::Role;

use super::instances::two;
use super::{listed, me, revoke, secret};
use crate::service::{Answer, Engine, Service, Storage, for_each_engine};

fn authorization(made: &Value) -> String {
    format!("Token {}", secret(made))
}

fn body(days: u32) -> Value {
    json!({"name": "t", "role": "msp-admin", "expiresInDays": days})
}

/// A token that the MSP's administrator makes, for so many days.
async fn make_for(service: &Service, days: u32) -> Value {
    service.post("/api/v1/tokens", &body(days)).await.expect(201)
}

/// A token that is made with another one, which must live longer.
async fn make_with(service: &Service, made: &Value, days: u32) -> Value {
    let request = service.request("POST", "/api/v1/tokens").header("authorization", authorization(made));
    Answer::of(request.json(&body(days))).await.expect(201)
}

async fn revoking_a_token_ends_what_was_made_with_it(engine: Engine) {
    let service = Service::start(engine).await;
    let (root, bystander) = (make_for(&service, 9).await, make_for(&service, 9).await);
    let child = make_with(&service, &root, 5).await;
    let (grandchild, sibling) = (make_with(&service, &child, 1).await, make_with(&service, &root, 1).await);
    for good in [&root, &child, &grandchild, &sibling, &bystander] {
        me(&service, &authorization(good)).await.expect(200);
    }

    assert_eq!(revoke(&service, &child).await.status, 204);
    for ended in [&child, &grandchild] {
        me(&service, &authorization(ended)).await.expect_problem(401, "token-invalid");
        assert_eq!(listed(&service, &ended["id"]).await["status"], "revoked");
    }
    let shown = listed(&service, &grandchild["id"]).await;
    assert!(shown.get("revokedUtc").is_none(), "nobody took that one back by itself: {shown}");
    for good in [&root, &sibling, &bystander] {
        me(&service, &authorization(good)).await.expect(200);
        assert_eq!(listed(&service, &good["id"]).await["status"], "active");
    }
    assert_eq!(revoke(&service, &grandchild).await.status, 204, "it can be taken back all the same");
    assert!(listed(&service, &grandchild["id"]).await["revokedUtc"].is_string());

    // After a restart, too, when the gate begins with what the views know.
    assert_eq!(revoke(&service, &root).await.status, 204);
    let service = Service::start_with(service.stop(), &[]);
    me(&service, &authorization(&bystander)).await.expect(200);
    me(&service, &authorization(&sibling)).await.expect_problem(401, "token-invalid");
    assert_eq!(listed(&service, &sibling["id"]).await["status"], "revoked");
}

/// Whichever is first, no token is left over.
#[tokio::test]
async fn a_token_that_is_made_while_its_maker_is_revoked_elsewhere_ends_too() {
    let (here, there) = two().await;
    for _ in 0..10 {
        let root = make_for(&here, 9).await;
        me(&there, &authorization(&root)).await.expect(200);
        let late = there.request("POST", "/api/v1/tokens").header("authorization", authorization(&root)).json(&body(1));
        let (revoked, late) = tokio::join!(revoke(&here, &root), Answer::of(late));
        let revoked_at = Instant::now();
        assert_eq!(revoked.status, 204);
        if late.status == 401 {
            continue;
        }
        let late = late.expect(201);
        for service in [&here, &there] {
            while me(service, &authorization(&late)).await.status != 401 {
                assert!(
                    revoked_at.elapsed() < Duration::from_secs(2),
                    "the bound is a second, and the test's own time"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_person_that_is_named_like_a_token_descends_from_none() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = Service::start_with(storage, &[]);
    let msp = service.config.default_msp().id;
    let root = make_for(&service, 9).await;
    let named = format!("token-{}", root["id"].as_str().unwrap());
    let person = super::granting::person_named(&service, Role::MspAdmin, msp, &[], &named);
    let request = service.request("POST", "/api/v1/tokens").header("authorization", person).json(&body(1));
    let made = Answer::of(request).await.expect(201);
    assert_eq!(revoke(&service, &root).await.status, 204);
    me(&service, &authorization(&made)).await.expect(200);
}

for_each_engine! {
    revoking_a_token_ends_what_was_made_with_it
}
