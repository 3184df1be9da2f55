//! `Idempotency-Key`: a repeat gets the first answer, and does nothing twice.

use serde_json::{Value, json};

use crate::service::{Answer, Service, on_each_engine};

fn new_tenant(short_code: &str) -> Value {
    json!({"shortCode": short_code, "displayName": "Acme", "contactEmail": "it@acme.example"})
}

async fn provision(service: &Service, key: &str, body: &Value) -> Answer {
    Answer::of(service.as_msp("POST", "/api/v1/msp/tenants").header("idempotency-key", key).json(body)).await
}

async fn tenants(service: &Service) -> usize {
    service.get("/api/v1/msp/tenants").await.expect(200).as_array().unwrap().len()
}

on_each_engine! {
    async fn a_repeat_gets_the_first_status_and_body(service: Service) {
        let first = provision(&service, "k-1", &new_tenant("acme")).await;
        let path = first.header("location").to_owned();
        let again = provision(&service, "k-1", &new_tenant("acme")).await;
        assert_eq!(again.expect(201), first.expect(201));
        assert_eq!(again.header("location"), path);
        assert_eq!(tenants(&service).await, 1);

        let suspend = || service.as_msp("POST", &format!("{path}/suspend")).header("idempotency-key", "k-2");
        let suspended = Answer::of(suspend()).await;
        service.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        let repeated = Answer::of(suspend()).await;
        assert_eq!(repeated.expect(200), suspended.expect(200), "rendered as the first answer saw it");
        assert_eq!(service.get(&path).await.expect(200)["status"], "active", "and nothing was done again");
    }

    async fn another_request_with_the_same_key_is_refused(service: Service) {
        provision(&service, "k", &new_tenant("acme")).await.expect(201);
        let other = provision(&service, "k", &new_tenant("contoso")).await;
        other.expect_problem(422, "idempotency-key-reused");
        assert_eq!(tenants(&service).await, 1);
    }

    async fn refusals_are_not_remembered(service: Service) {
        let id = service.tenant("acme").await;
        let reinstate = || {
            service.as_msp("POST", &format!("/api/v1/msp/tenants/{id}/reinstate")).header("idempotency-key", "k")
        };
        Answer::of(reinstate()).await.expect_problem(409, "not-suspended");
        service.post_nothing(&format!("/api/v1/msp/tenants/{id}/suspend")).await.expect(200);
        assert_eq!(Answer::of(reinstate()).await.expect(200)["status"], "active");
    }

    async fn racing_repeats_provision_once(service: Service) {
        let body = new_tenant("acme");
        let racers = (0..20).map(|_| provision(&service, "race", &body));
        let answers = futures::future::join_all(racers).await;
        for answer in &answers {
            assert!(matches!(answer.status, 201 | 409), "{answer:?}");
        }
        assert!(answers.iter().any(|answer| answer.status == 201));
        for in_flight in answers.iter().filter(|answer| answer.status == 409) {
            in_flight.expect_problem(409, "request-in-flight");
        }
        assert_eq!(tenants(&service).await, 1);
    }

    async fn a_bad_key_is_refused(service: Service) {
        for key in ["", &"k".repeat(256)] {
            provision(&service, key, &new_tenant("acme")).await.expect_problem(400, "invalid-header");
        }
        assert_eq!(tenants(&service).await, 0);
    }
}
