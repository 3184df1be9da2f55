//! The database goes away and comes back: 503 meanwhile, nothing lost, and nobody has to restart anything.

use serde_json::json;
use tenure::identity::Role;
use tenure_test_engines::PostgresCluster;

use crate::service::{Answer, Engine, Service, Storage, eventually};

#[tokio::test]
async fn the_service_outlives_its_database() {
    let mut cluster = tokio::task::spawn_blocking(PostgresCluster::start).await.unwrap();
    let url = cluster.url();
    let service = Service::start_with(Storage::new(Engine::Sqlite).await, &[("TENURE_DATABASE_URL", &url)]);
    let id = service.tenant("before").await;
    let path = format!("/api/v1/msp/tenants/{id}");
    cluster.kill9();

    let body = json!({"shortCode": "during", "displayName": "D", "contactEmail": "d@acme.example"});
    let refused = service.post("/api/v1/msp/tenants", &body).await;
    let problem = refused.expect(503);
    assert!(!refused.header("retry-after").is_empty(), "{refused:?}");
    assert!(problem.get("detail").is_none(), "a 5xx says nothing but its request id: {problem}");
    let read = service.get(&path).await;
    read.expect(503);
    assert!(!read.header("retry-after").is_empty());
    assert_eq!(service.request("GET", "/health/live").send().await.unwrap().status(), 200);
    assert_eq!(service.request("GET", "/health/ready").send().await.unwrap().status(), 503);
    // Nobody guesses whether a tenant is suspended.
    let people = service.token_of(Role::PrimeAdmin, id);
    eventually("the tenant's people are told to wait", async || {
        Answer::of(service.request("GET", "/api/v1/me").bearer_auth(&people)).await.status == 503
    })
    .await;

    let mut cluster = tokio::task::spawn_blocking(move || {
        cluster.restart();
        cluster
    })
    .await
    .unwrap();
    eventually("commands are taken again", async || {
        let again = service.post("/api/v1/msp/tenants", &body).await;
        assert!(matches!(again.status, 201 | 409 | 503), "{again:?}");
        again.status != 503
    })
    .await;
    let codes = async || -> Vec<String> {
        let list = service.get("/api/v1/msp/tenants").await;
        let list = if list.status == 200 { list.expect(200) } else { json!([]) };
        list.as_array().unwrap().iter().map(|tenant| tenant["shortCode"].as_str().unwrap().to_owned()).collect()
    };
    eventually("the views follow", async || codes().await == ["during", "before"]).await;
    eventually("the service is ready", async || {
        service.request("GET", "/health/ready").send().await.unwrap().status() == 200
    })
    .await;
    Answer::of(service.request("GET", "/api/v1/me").bearer_auth(&people)).await.expect(200);
    service.stop();
    cluster.stop();
}
