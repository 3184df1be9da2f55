//! What the clock and the configuration make of tokens.

use std::sync::Arc;

use serde_json::json;
use tenure::identity::Role;

use super::{listed, make, me, revoke, secret};
use crate::service::{Engine, Service, Storage, eventually, for_each_engine};

async fn a_token_outlives_a_restart_but_not_its_time(engine: Engine) {
    let service = Service::start_with(Storage::new(engine).await, &[]);
    let msp = service.config.default_msp().id;
    let (kept, revoked) = (make(&service, Role::MspAdmin, msp).await, make(&service, Role::MspAdmin, msp).await);
    revoke(&service, &revoked).await;
    let storage = service.stop();
    let service = Service::start_with(storage, &[]);
    me(&service, &format!("Token {}", secret(&kept))).await.expect(200);
    me(&service, &format!("Token {}", secret(&revoked))).await.expect_problem(401, "token-invalid");
    let storage = service.stop();
    for (offset, is_good) in [("1435m", true), ("1441m", false)] {
        let service = Service::start_with(Arc::clone(&storage), &[("TENURE_CLOCK_OFFSET", offset)]);
        let answer = me(&service, &format!("Token {}", secret(&kept))).await;
        if is_good {
            answer.expect(200);
        } else {
            answer.expect_problem(401, "token-expired");
            assert_eq!(listed(&service, &kept["id"]).await["status"], "expired");
        }
        service.stop();
    }
}

async fn each_token_has_a_limit_of_its_own(engine: Engine) {
    let settings = [("TENURE_TOKEN_REQUESTS_PER_MINUTE", "6"), ("TENURE_TOKEN_BURST", "3")];
    let service = Service::start_with(Storage::new(engine).await, &settings);
    let msp = service.config.default_msp().id;
    let (one, other) = (make(&service, Role::MspAdmin, msp).await, make(&service, Role::MspAdmin, msp).await);
    let (one, other) = (format!("Token {}", secret(&one)), format!("Bearer {}", secret(&other)));
    for _ in 0..3 {
        me(&service, &one).await.expect(200);
    }
    let refused = me(&service, &one).await;
    refused.expect_problem(429, "too-many-requests");
    let seconds: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    me(&service, &other).await.expect(200);
    for _ in 0..10 {
        me(&service, &format!("Bearer {}", service.msp_token())).await.expect(200);
    }
}

async fn a_deleted_tenants_token_is_good_for_nothing_and_can_be_taken_back(engine: Engine) {
    let settings = [("TENURE_RETENTION_DAYS", "1"), ("TENURE_CLOCK_OFFSET", "-3d")];
    let service = Service::start_with(Storage::new(engine).await, &settings);
    let tenant = service.tenant("leaving").await;
    let body = json!({"name": "t", "role": "admin", "tenantId": tenant.to_string(), "expiresInDays": 365});
    let made = service.post("/api/v1/tokens", &body).await.expect(201);
    let path = format!("/api/v1/msp/tenants/{tenant}");
    service.post(&format!("{path}/deprovision"), &json!({"confirmShortCode": "leaving"})).await.expect(200);
    let service = Service::start_with(service.stop(), &settings[..1]);
    let authorization = format!("Token {}", secret(&made));
    eventually("the tenant is deleted", async || {
        me(&service, &authorization).await.expect(403)["code"] == "tenant-deleted"
    })
    .await;
    // Its keys are destroyed: nothing personal may be written about who revokes.
    assert_eq!(revoke(&service, &made).await.status, 204);
    me(&service, &authorization).await.expect_problem(401, "token-invalid");
    service.post("/api/v1/tokens", &body).await.expect_problem(409, "not-active");
}

for_each_engine! {
    a_deleted_tenants_token_is_good_for_nothing_and_can_be_taken_back
    a_token_outlives_a_restart_but_not_its_time
    each_token_has_a_limit_of_its_own
}
