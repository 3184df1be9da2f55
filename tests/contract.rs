//! The contract with billing exporters as the service serves it, and that its answers keep it.

use serde_json::{Value, json};

use crate::service::{Answer, Engine, Service, on_each_engine};

on_each_engine! {
    async fn every_billing_event_fits_the_schema_that_the_service_serves(service: Service) {
        let id = service.tenant("acme").await;
        let path = format!("/api/v1/msp/tenants/{id}");
        service.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).await.expect(200);
        service.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        service.post_nothing(&format!("{path}/suspend")).await.expect(200);
        service.post(&format!("{path}/deprovision"), &json!({"confirmShortCode": "acme"})).await.expect(200);
        let events = service.get("/api/v1/msp/billing-events").await.expect(200);
        assert_eq!(events.as_array().unwrap().len(), 5);
        for event in events.as_array().unwrap() {
            let file = format!("/schemas/billing/{}.v1.json", event["type"].as_str().unwrap());
            let schema = Answer::of(service.request("GET", &file)).await.expect(200);
            let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
            assert!(validator.is_valid(event), "{event} does not fit {file}");
            let mut wrong = event.clone();
            wrong["type"] = "tenant.exploded".into();
            assert!(!validator.is_valid(&wrong));
        }
    }
}

#[tokio::test]
async fn the_contract_is_served_without_a_token_and_may_be_kept() {
    let service = Service::start(Engine::Sqlite).await;
    let frozen = |name: &str| std::fs::read_to_string(format!("docs/contract/{name}")).unwrap();
    for (path, file, media_type) in [
        ("/asyncapi.json", "asyncapi.json", "application/json"),
        ("/schemas/billing/tenant.deleted.v1.json", "tenant.deleted.v1.json", "application/schema+json"),
        ("/schemas/billing/tenant.usage.monthly.v1.json", "tenant.usage.monthly.v1.json", "application/schema+json"),
    ] {
        let answer = Answer::of(service.request("GET", path)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type));
        assert_eq!(answer.text, frozen(file));
        assert_eq!(answer.header("cache-control"), "public, max-age=3600");
        let tag = answer.header("etag");
        let again = Answer::of(service.request("GET", path).header("if-none-match", tag)).await;
        assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", tag));
        let changed = Answer::of(service.request("GET", path).header("if-none-match", "\"another\"")).await;
        assert_eq!(changed.status, 200);
        let head = Answer::of(service.request("HEAD", path)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""));
    }
    for unknown in ["tenant.updated.v1.json", "tenant.exploded.v1.json", "tenant.deleted.v2.json", ".v1.json"] {
        let answer = Answer::of(service.request("GET", &format!("/schemas/billing/{unknown}"))).await;
        answer.expect_problem(404, "not-found");
    }
    let document: Value = Answer::of(service.request("GET", "/asyncapi.json")).await.expect(200);
    assert_eq!(document["channels"]["billing"]["address"], "tenure.billing.v1");
}
