//! An event that can't be applied stops its projections where everybody can see it; commands go on.

use serde_json::{Value, json};
use sqlx::Connection;
use tenure::identity::Role;

use crate::service::{Answer, Engine, Service, Storage, append_by_hand, eventually};

async fn ready(service: &Service) -> (u16, Value) {
    let answer = Answer::of(service.request("GET", "/health/ready")).await;
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

/// An event that was written by the hand of somebody who should not have.
#[tokio::test]
async fn a_poison_event_shows_its_position_and_commands_go_on() {
    let storage = Storage::new(Engine::Postgres).await;
    let url = storage.database_url().unwrap().to_owned();
    let service = Service::start_with(storage, &[("TENURE_VIEW_WAIT_MS", "300")]);
    let id = service.tenant("acme").await;
    let bystander = service.tenant("contoso").await;

    let mut database = sqlx::PgConnection::connect(&url).await.unwrap();
    let position = append_by_hand(&mut database, id, "tenant.suspended", "{\"tenant.suspended\": {\"at\": 7}}").await;

    eventually("readiness shows the event", async || {
        let (status, body) = ready(&service).await;
        let stopped = body["projections"].as_array().unwrap().iter().filter_map(|projection| projection.get("stopped"));
        let named = stopped.clone().any(|stopped| {
            stopped["position"] == position
                && stopped["eventType"] == "tenant.suspended"
                && stopped["error"].is_string()
        });
        let sentence = format!("before an event that it can't apply (tenant.suspended at position {position}");
        let reasons = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap());
        let advised = reasons.clone().any(|reason| {
            reason.starts_with("Projection tenants: ") && reason.contains(&sentence) && reason.contains("runbook")
        });
        status == 503 && named && advised
    })
    .await;

    let metrics = Answer::of(service.request("GET", "/metrics")).await.text;
    assert!(metrics.contains("tenure_projection_stopped{projection=\"tenants\",state=\"live\"} 1\n"), "{metrics}");

    // This tenant's people are turned away, nobody else's.
    let me = async |tenant| {
        let token = service.token_of(Role::PrimeAdmin, tenant);
        Answer::of(service.request("GET", "/api/v1/me").bearer_auth(token)).await
    };
    me(id).await.expect_problem(503, "gate-stale");
    me(bystander).await.expect(200);

    let body = json!({"shortCode": "later", "displayName": "L", "contactEmail": "l@acme.example"});
    let made = service.post("/api/v1/msp/tenants", &body).await;
    assert_eq!(made.expect(202)["shortCode"], "later", "committed; the views don't show it yet");
    let keyed = async || {
        let body = json!({"shortCode": "keyed", "displayName": "K", "contactEmail": "k@acme.example"});
        let request = service.as_msp("POST", "/api/v1/msp/tenants").header("idempotency-key", "k").json(&body);
        Answer::of(request).await
    };
    let late = keyed().await;
    let corrupt = service.post_nothing(&format!("/api/v1/msp/tenants/{id}/suspend")).await;
    let problem = corrupt.expect(500);
    assert!(problem.get("detail").is_none(), "{problem}");

    // Repaired, it is applied, and so is what came after it.
    let repair = "update events set payload = '{\"tenant.suspended\": {\"reason\": null, \"at\": \"2026-01-01T00:00:00Z\"}}' \
        where position = $1";
    sqlx::query(repair).bind(position).execute(&mut database).await.unwrap();
    eventually("the views follow", async || {
        let list = service.get("/api/v1/msp/tenants").await.expect(200);
        list.as_array().unwrap().len() == 4
            && ready(&service).await.1["projections"].as_array().unwrap().iter().all(|p| p.get("stopped").is_none())
    })
    .await;
    assert_eq!(service.get(&format!("/api/v1/msp/tenants/{id}")).await.expect(200)["status"], "suspended");

    // A repeat gets the first answer, also now that the views are no longer late.
    let repeated = keyed().await;
    assert_eq!(repeated.expect(202), late.expect(202));
    assert_eq!(repeated.header("location"), late.header("location"));
}
