//! The OpenAPI document says what the service does, and the reading page needs nothing from outside.

use serde_json::Value;

use crate::service::{Answer, Engine, Service};

/// Every operation in the document: method, path and whether it asks for a token.
pub async fn operations(service: &Service) -> Vec<(String, String, bool)> {
    let document = Answer::of(service.request("GET", "/openapi.json")).await.expect(200);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let open = operation["security"]
                .as_array()
                .is_some_and(|schemes| schemes.iter().any(|s| s == &Value::Object(serde_json::Map::new())));
            operations.push((method.to_uppercase(), path.clone(), !open));
        }
    }
    operations
}

#[tokio::test]
async fn the_document_names_every_route_and_the_router_serves_each() {
    let service = Service::start(Engine::Sqlite).await;
    let operations = operations(&service).await;
    let named: Vec<_> = operations.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let expected = [
        "GET /api/v1/me",
        "GET /api/v1/msp/billing-events",
        "GET /api/v1/msp/billing-events/reconciliation",
        "GET /api/v1/msp/tenants",
        "POST /api/v1/msp/tenants",
        "GET /api/v1/msp/tenants/{tenantId}",
        "PATCH /api/v1/msp/tenants/{tenantId}",
        "GET /api/v1/msp/tenants/{tenantId}/billing-events",
        "POST /api/v1/msp/tenants/{tenantId}/deprovision",
        "POST /api/v1/msp/tenants/{tenantId}/reinstate",
        "POST /api/v1/msp/tenants/{tenantId}/restore",
        "POST /api/v1/msp/tenants/{tenantId}/suspend",
        "PUT /api/v1/msp/tenants/{tenantId}/usage",
        "GET /api/v1/system/health/ping",
        "GET /api/v1/tokens",
        "POST /api/v1/tokens",
        "GET /api/v1/tokens/{tokenId}",
        "DELETE /api/v1/tokens/{tokenId}",
    ];
    assert_eq!(named, expected);
    for (method, path, needs_token) in operations {
        let id = "01900000-0000-7000-8000-00000000ffff";
        let path = path.replace("{tenantId}", id).replace("{tokenId}", id);
        let answer = Answer::of(service.request(&method, &path)).await;
        if needs_token {
            let problem = answer.expect_problem(401, "token-missing");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tenure\"", "{problem}");
        } else {
            answer.expect(200);
        }
    }
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_refers_only_to_what_it_holds() {
    let service = Service::start(Engine::Sqlite).await;
    let answer = Answer::of(service.request("GET", "/openapi.json")).await;
    let document = answer.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 20, "operations share their shapes");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["operationId"].is_string(), "{method} {path} has no id");
        }
    }
}

#[tokio::test]
async fn every_error_that_a_document_names_has_the_body_and_media_type_that_it_is_sent_with() {
    let service = Service::start(Engine::Sqlite).await;
    for (document, media_type, schema, post) in [
        ("/openapi.json", "application/problem+json", "Problem", "/api/v1/msp/tenants"),
        ("/openapi/netbird.json", "application/json", "Error", "/api/integrations/msp/tenants"),
    ] {
        let document = Answer::of(service.request("GET", document)).await.expect(200);
        let expected =
            serde_json::json!({ media_type: {"schema": {"$ref": format!("#/components/schemas/{schema}")}} });
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    if status.as_str() >= "400" {
                        assert_eq!(answer["content"], expected, "{method} {path} {status}");
                    }
                }
            }
        }
        let sent = Answer::of(service.as_msp("POST", post).body("{}")).await;
        assert_eq!((sent.status, sent.header("content-type").split(';').next()), (415, Some(media_type)));
        for status in ["400", "401", "403", "413", "415", "429", "500", "503"] {
            assert!(document["paths"][post]["post"]["responses"].get(status).is_some(), "POST {post} {status}");
        }
    }
}

#[tokio::test]
async fn a_late_success_has_the_body_of_a_success() {
    let service = Service::start(Engine::Sqlite).await;
    let document = Answer::of(service.request("GET", "/openapi.json")).await.expect(200);
    let provision = &document["paths"]["/api/v1/msp/tenants"]["post"]["responses"];
    assert_eq!(provision["202"]["content"], provision["201"]["content"]);
    let usage = &document["paths"]["/api/v1/msp/tenants/{tenantId}/usage"]["put"]["responses"];
    assert!(usage["202"].get("content").is_none(), "{usage}");
    let list = document["paths"]["/api/v1/msp/tenants"]["get"]["parameters"].as_array().unwrap();
    let size = list.iter().find(|parameter| parameter["name"] == "pageSize").unwrap();
    assert_eq!((&size["schema"]["minimum"], &size["schema"]["maximum"]), (&1.into(), &200.into()), "{size}");
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_reading_page_needs_no_outside_network() {
    let service = Service::start(Engine::Sqlite).await;
    let page = Answer::of(service.request("GET", "/docs")).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert!(!page.text.contains("<script") && !page.text.contains("src="), "no scripts, no images");
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "no other host");
    for part in [
        "/api/v1/msp/tenants/{tenantId}/suspend",
        "confirmShortCode",
        "TenantDetail",
        "It is shown here and never again",
    ] {
        assert!(page.text.contains(part), "{part} is missing");
    }
}
