//! A tenant's life over the API.

use reqwest::header::{IF_MATCH, LOCATION};
use serde_json::json;

use crate::service::{Answer, Service, on_each_engine};

on_each_engine! {
    async fn a_tenant_lives_from_provisioning_to_retention(service: Service) {
        let body = json!({
            "shortCode": "Acme-Corp", "displayName": " Acme Corporation ", "contactEmail": "it@acmecorp.com",
            "maxUsers": 50, "modules": ["ssh", "ad"],
        });
        let made = service.post("/api/v1/msp/tenants", &body).await;
        let tenant = made.expect(201);
        assert_eq!(tenant["shortCode"], "acme-corp");
        assert_eq!(tenant["displayName"], "Acme Corporation");
        assert_eq!(tenant["contactEmail"], "it@acmecorp.com");
        assert_eq!(tenant["status"], "active");
        assert_eq!((&tenant["maxUsers"], &tenant["maxResources"]), (&json!(50), &json!(200)));
        assert_eq!(tenant["enabledModules"], json!(["ad", "ssh"]));
        assert_eq!(tenant["databaseName"], "rppam_tenant_acme_corp");
        assert_eq!(tenant["health"], "healthy");
        let path = made.headers[LOCATION].to_str().unwrap();
        assert_eq!(path, format!("/api/v1/msp/tenants/{}", tenant["tenantId"].as_str().unwrap()));
        assert_eq!(service.get(path).await.expect(200), tenant);

        let suspended = service.post(&format!("{path}/suspend"), &json!({"reason": "unpaid"})).await.expect(200);
        assert_eq!(suspended["status"], "suspended");
        assert_eq!(suspended["suspendReason"], "unpaid");
        assert_eq!(suspended["health"], "disconnected");
        assert_eq!(service.get(path).await.expect(200), suspended);
        service.post_nothing(&format!("{path}/suspend")).await.expect_problem(409, "not-active");

        let reinstated = service.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        assert_eq!(reinstated["status"], "active");
        assert_eq!(reinstated["health"], "reconnecting");
        assert!(reinstated.get("suspendedUtc").is_none());
        let refused = service.post_nothing(&format!("{path}/reinstate")).await.expect_problem(409, "not-suspended");
        assert_eq!(refused["title"], "not suspended");

        let deprovision = format!("{path}/deprovision");
        service.post_nothing(&deprovision).await.expect_problem(400, "validation-failed");
        let wrong_case = service.post(&deprovision, &json!({"confirmShortCode": "Acme-Corp"})).await;
        wrong_case.expect_problem(400, "confirmation-mismatch");
        let leaving = service.post(&deprovision, &json!({"confirmShortCode": "acme-corp"})).await.expect(200);
        assert_eq!(leaving["status"], "deprovisioning");
        assert!(leaving["retentionEndsUtc"].is_string());
        let again = service.post(&deprovision, &json!({"confirmShortCode": "acme-corp"})).await;
        again.expect_problem(409, "already-deprovisioned");
        service.post_nothing(&format!("{path}/reinstate")).await.expect_problem(409, "not-suspended");
        let report = service.as_msp("PUT", &format!("{path}/usage")).json(&json!({"resources": 1, "grants": 1}));
        Answer::of(report).await.expect_problem(409, "not-active");
    }

    async fn a_short_code_is_unique_whatever_its_case(service: Service) {
        service.provision("contoso").await;
        let body = json!({"shortCode": "CONTOSO", "displayName": "Other", "contactEmail": "it@other.example"});
        let problem = service.post("/api/v1/msp/tenants", &body).await.expect_problem(409, "short-code-taken");
        assert_eq!(problem["errors"][0]["pointer"], "/shortCode");
        assert_eq!(service.get("/api/v1/msp/tenants").await.expect(200).as_array().unwrap().len(), 1);
    }

    async fn an_update_changes_only_what_it_names(service: Service) {
        let id = service.tenant("fabrikam").await;
        let path = format!("/api/v1/msp/tenants/{id}");
        let before = service.get(&path).await;
        let update = |body: serde_json::Value| service.as_msp("PATCH", &path).json(&body);
        let after = Answer::of(update(json!({"displayName": "Fabrikam GmbH", "maxUsers": 7}))).await;
        let (was, is) = (before.expect(200), after.expect(200));
        assert_eq!(is["displayName"], "Fabrikam GmbH");
        assert_eq!(is["maxUsers"], 7);
        assert_eq!(is["contactEmail"], was["contactEmail"]);
        assert_ne!(after.header("etag"), before.header("etag"));

        let nothing = Answer::of(update(json!({"maxUsers": 7}))).await;
        assert_eq!(nothing.expect(200), is, "what changes nothing leaves everything, the last activity too");
        assert_eq!(nothing.header("etag"), after.header("etag"));
        assert_eq!(nothing.header("tenure-position"), "");
    }

    async fn a_limit_below_the_present_usage_is_refused(service: Service) {
        let path = format!("/api/v1/msp/tenants/{}", service.tenant("fabrikam").await);
        let usage = service.as_msp("PUT", &format!("{path}/usage")).json(&json!({"resources": 83, "grants": 12}));
        Answer::of(usage).await.expect(204);
        assert_eq!(service.get(&path).await.expect(200)["currentResources"], 83);
        let problem = Answer::of(service.as_msp("PATCH", &path).json(&json!({"maxResources": 82}))).await;
        let problem = problem.expect_problem(409, "limit-below-usage");
        assert_eq!(problem["errors"][0]["pointer"], "/maxResources");
        Answer::of(service.as_msp("PATCH", &path).json(&json!({"maxResources": 83}))).await.expect(200);
    }

    async fn if_match_guards_a_version(service: Service) {
        let path = format!("/api/v1/msp/tenants/{}", service.tenant("fabrikam").await);
        let etag = service.get(&path).await.header("etag").to_owned();
        let suspend = service.as_msp("POST", &format!("{path}/suspend"));
        Answer::of(suspend.header(IF_MATCH, "\"99\"")).await.expect_problem(412, "version-mismatch");
        let suspend = service.as_msp("POST", &format!("{path}/suspend"));
        Answer::of(suspend.header(IF_MATCH, &etag)).await.expect(200);
        let update = service.as_msp("PATCH", &path).json(&json!({"maxUsers": 3}));
        Answer::of(update.header(IF_MATCH, &etag)).await.expect_problem(412, "version-mismatch");
        let update = service.as_msp("PATCH", &path).json(&json!({"maxUsers": 3}));
        Answer::of(update.header(IF_MATCH, "*")).await.expect(200);
    }

    async fn respond_async_answers_202_and_the_views_follow(service: Service) {
        let path = format!("/api/v1/msp/tenants/{}", service.tenant("fabrikam").await);
        let suspend = service.as_msp("POST", &format!("{path}/suspend")).header("prefer", "respond-async");
        let answer = Answer::of(suspend).await;
        assert_eq!(answer.expect(202)["status"], "suspended");
        assert_eq!(answer.header("preference-applied"), "respond-async");
        let list = service.as_msp("GET", "/api/v1/msp/tenants?status=suspended");
        let list = Answer::of(list.header("tenure-min-position", answer.header("tenure-position"))).await;
        assert_eq!(list.expect(200).as_array().unwrap().len(), 1);
    }

    async fn a_list_is_paged_by_number_and_by_cursor(service: Service) {
        for number in 0..5 {
            service.provision(&format!("tenant-{number}")).await;
        }
        let codes = |answer: &Answer| -> Vec<String> {
            let list = answer.expect(200);
            list.as_array().unwrap().iter().map(|tenant| tenant["shortCode"].as_str().unwrap().to_owned()).collect()
        };
        let first = service.get("/api/v1/msp/tenants?pageSize=2").await;
        assert_eq!(codes(&first), ["tenant-4", "tenant-3"]);
        assert_eq!(first.header("x-total-count"), "5");
        let second = service.get("/api/v1/msp/tenants?pageSize=2&page=2").await;
        assert_eq!(codes(&second), ["tenant-2", "tenant-1"]);
        let next = first.header("link").trim_start_matches('<').split('>').next().unwrap();
        assert_eq!(codes(&service.get(next).await), codes(&second));

        let last = service.get("/api/v1/msp/tenants?pageSize=5").await;
        assert_eq!((codes(&last).len(), last.header("link")), (5, ""), "a full last page leads nowhere");

        let too_far = service.get("/api/v1/msp/tenants?pageSize=200&page=51").await;
        let problem = too_far.expect_problem(400, "invalid-parameter");
        assert!(problem["detail"].as_str().unwrap().contains("Link"), "{problem}");
    }
}
