//! Billing events over the API.

use serde_json::{Value, json};

use crate::service::{Answer, Service, on_each_engine};

fn types(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

on_each_engine! {
    async fn every_change_of_a_lifecycle_is_billed_in_order(service: Service) {
        let id = service.tenant("acme").await;
        let path = format!("/api/v1/msp/tenants/{id}");
        service.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).await.expect(200);
        service.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        let body = json!({"confirmShortCode": "acme"});
        let leaving = service.post(&format!("{path}/deprovision"), &body).await.expect(200);
        service.tenant("contoso").await;

        let events = service.get(&format!("{path}/billing-events")).await.expect(200);
        let expected = ["tenant.provisioned", "tenant.suspended", "tenant.reinstated", "tenant.deprovisioned"];
        assert_eq!(types(&events), expected);
        assert_eq!(events[0]["shortCode"], "acme");
        assert_eq!(events[1]["reason"], "unpaid");
        let ends = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert_eq!(ends(&events[3]["retentionEndsUtc"]), ends(&leaving["retentionEndsUtc"]));
        for event in events.as_array().unwrap() {
            assert_eq!(event["tenantId"], id.to_string());
            assert!(event["eventId"].is_string() && event["occurredUtc"].is_string());
        }

        let all = service.get("/api/v1/msp/billing-events").await.expect(200);
        assert_eq!(types(&all)[4..], ["tenant.provisioned"]);
        let positions: Vec<_> = all.as_array().unwrap().iter().map(|event| event["position"].as_u64()).collect();
        assert!(positions.is_sorted());
        let rest = service.get(&format!("/api/v1/msp/billing-events?after={}&limit=2", positions[0].unwrap())).await;
        assert_eq!(types(&rest.expect(200)), ["tenant.suspended", "tenant.reinstated"]);
        let some = service.get("/api/v1/msp/billing-events?type=tenant.suspended,tenant.deprovisioned").await;
        assert_eq!(types(&some.expect(200)), ["tenant.suspended", "tenant.deprovisioned"]);
        let long_ago = service.get("/api/v1/msp/billing-events?from=2020-01-01&to=2020-12-31").await;
        assert_eq!(long_ago.expect(200), json!([]));
        service.get("/api/v1/msp/billing-events?from=2026-02-30").await.expect_problem(400, "invalid-parameter");
    }

    async fn csv_and_lines_hold_the_same_events(service: Service) {
        for number in 0..3 {
            service.tenant(&format!("tenant-{number}")).await;
        }
        let get = |accept: &'static str| service.as_msp("GET", "/api/v1/msp/billing-events").header("accept", accept);
        let json = Answer::of(get("application/json")).await.expect(200);
        let lines = Answer::of(get("application/x-ndjson")).await;
        let parsed: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(Value::Array(parsed), json);
        let csv = Answer::of(get("text/csv")).await;
        assert!(csv.header("content-type").starts_with("text/csv"));
        let rows: Vec<_> = csv.text.lines().collect();
        assert_eq!(rows.len(), 4);
        assert!(rows[0].starts_with("eventId,position,type,tenantId,shortCode,occurredUtc"), "{}", rows[0]);
        assert!(rows[1].starts_with(json[0]["eventId"].as_str().unwrap()), "{}", rows[1]);
    }

    async fn a_list_of_several_pages_is_whole(service: Service) {
        let path = format!("/api/v1/msp/tenants/{}", service.tenant("acme").await);
        for _ in 0..260 {
            let change = |what: &str| {
                service.as_msp("POST", &format!("{path}/{what}")).header("prefer", "respond-async")
            };
            Answer::of(change("suspend")).await.expect(202);
            Answer::of(change("reinstate")).await.expect(202);
        }
        let last = service.post_nothing(&format!("{path}/suspend")).await;
        let all = service.as_msp("GET", &format!("{path}/billing-events"));
        let all = Answer::of(all.header("tenure-min-position", last.header("tenure-position"))).await.expect(200);
        assert_eq!(all.as_array().unwrap().len(), 522);
    }
}
