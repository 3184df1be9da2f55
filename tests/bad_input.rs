//! Bad input gets a clear 4xx: never a panic, a 500 or a lost connection, and nothing half done.

use serde_json::{Value, json};
use tenure::identity::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{Answer, Engine, Service, Storage, on_each_engine};

const TENANTS: &str = "/api/v1/msp/tenants";

fn good() -> Value {
    json!({"shortCode": "acme", "displayName": "Acme", "contactEmail": "it@acme.example"})
}

/// The good body with one member changed.
fn with(name: &str, value: Value) -> Value {
    let mut body = good();
    body[name] = value;
    body
}

async fn send(service: &Service, body: impl Into<reqwest::Body>) -> Answer {
    Answer::of(service.as_msp("POST", TENANTS).header("content-type", "application/json").body(body)).await
}

on_each_engine! {
    async fn every_field_is_checked_and_pointed_to(service: Service) {
        let long = "x".repeat(101);
        for (name, value) in [
            ("shortCode", json!("ab")),
            ("shortCode", json!("a".repeat(21))),
            ("shortCode", json!("-abc")),
            ("shortCode", json!("ab_c")),
            ("shortCode", json!("äcme")),
            ("shortCode", Value::Null),
            ("displayName", json!("")),
            ("displayName", json!("  ")),
            ("displayName", json!(long)),
            ("displayName", json!("two\nlines")),
            ("displayName", json!(7)),
            ("contactEmail", json!("nobody")),
            ("contactEmail", json!("a@b")),
            ("contactEmail", json!("a b@c.example")),
            ("maxUsers", json!(0)),
            ("maxUsers", json!(-1)),
            ("maxUsers", json!(1_000_001)),
            ("maxUsers", json!(1.5)),
            ("maxUsers", json!("500")),
            ("maxResources", json!(99_999_999_999_999_999_999_f64)),
            ("modules", json!("ad")),
            ("adminEmail", json!("@")),
            ("adminDisplayName", json!("")),
            ("shortcode", json!("acme")),
        ] {
            let problem = service.post(TENANTS, &with(name, value.clone())).await.expect_problem(400, "validation-failed");
            assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"), "{name} = {value}: {problem}");
        }
        let problem = service.post(TENANTS, &with("modules", json!(["ad", "s s h"]))).await;
        let problem = problem.expect_problem(400, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/modules/1");
        let all = service.post(TENANTS, &json!({})).await.expect_problem(400, "validation-failed");
        assert_eq!(all["errors"].as_array().unwrap().len(), 3, "every mistake in one answer: {all}");
        assert_eq!(service.get(TENANTS).await.expect(200), json!([]), "nothing was done");
    }

    async fn what_is_no_json_is_said_to_be_none(service: Service) {
        for body in [
            &b""[..],
            b"{",
            b"[]",
            b"[\"acme\", \"Acme\", \"it@acme.example\", null, null, null, null, null]",
            b"null",
            b"\"text\"",
            b"{\"shortCode\": \"a\\u0000b\"}",
            b"{\"shortCode\": \"\xff\xfe\"}",
            b"{\"shortCode\": \"\xed\xa0\x80\"}",
            b"{\"shortCode\": \"acme\", \"shortCode\": \"acme\"}",
            b"{} {}",
            b"\xef\xbb\xbf{}",
        ] {
            let answer = send(&service, body.to_vec()).await;
            assert_eq!(answer.status, 400, "{}: {answer:?}", String::from_utf8_lossy(body));
            assert_eq!(answer.header("content-type"), "application/problem+json");
        }
        for deep in ["[", "{\"modules\":"] {
            send(&service, deep.repeat(5_000)).await.expect(400);
        }
        let text = service.as_msp("POST", TENANTS).header("content-type", "text/plain").body(good().to_string());
        Answer::of(text).await.expect_problem(415, "unsupported-media-type");
        let none = service.as_msp("POST", TENANTS).body(good().to_string());
        Answer::of(none).await.expect_problem(415, "unsupported-media-type");
        let latin = service.as_msp("POST", TENANTS).header("content-type", "application/json; charset=latin1");
        Answer::of(latin.body("{}")).await.expect_problem(415, "unsupported-media-type");
    }

    async fn an_oversize_body_is_answered_not_cut_off(service: Service) {
        for size in [70_000, 1_000_000, 7_000_000, 20_000_000] {
            let body = format!("{{\"displayName\": \"{}\"}}", "x".repeat(size));
            send(&service, body).await.expect_problem(413, "body-too-large");
        }
        let nobody = service.request("POST", TENANTS).body("x".repeat(3_000_000));
        Answer::of(nobody).await.expect_problem(401, "token-missing");
        service.post(TENANTS, &good()).await.expect(201);
    }

    async fn head_is_answered_like_get_without_the_body(service: Service) {
        for path in [TENANTS, "/api/v1/me", "/api/v1/system/health/ping", "/health/live", "/health/ready", "/openapi.json"] {
            let head = Answer::of(service.as_msp("HEAD", path)).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""), "{path}");
        }
        Answer::of(service.as_msp("POST", "/health/ready")).await.expect_problem(405, "method-not-allowed");
    }

    async fn an_empty_body_is_taken_whatever_its_content_type(service: Service) {
        let path = format!("{TENANTS}/{}", service.tenant("acme").await);
        let suspend = service.as_msp("POST", &format!("{path}/suspend"));
        let suspend = suspend.header("content-type", "application/x-www-form-urlencoded").header("content-length", "0");
        Answer::of(suspend).await.expect(200);
        service.post(&format!("{path}/reinstate"), &json!({})).await.expect(200);
        service.post(&format!("{path}/suspend"), &json!({"reason": "x".repeat(201)})).await.expect(400);
        service.post(&format!("{path}/reinstate"), &json!({"why": 1})).await.expect_problem(400, "validation-failed");
    }

    async fn queries_are_strict(service: Service) {
        for query in [
            "status=open", "status=", "page=0", "page=-1", "page=x", "pageSize=0", "pageSize=201", "pageSize=1e9",
            "page=99999999999999999999", "page=1&page=2", "Page=1", "sort=name", "status=%00", "status=%ff",
            "after=nonsense", "after=AAAA&page=1", "page=4294967295&pageSize=200",
        ] {
            let answer = service.get(&format!("{TENANTS}?{query}")).await;
            answer.expect_problem(400, "invalid-parameter");
        }
        for query in ["from=2026-13-01", "to=9999999-01-01", "from=%00", "limit=0", "after=x", "type=x", "from=2026-02-01&to=2026-01-01"] {
            service.get(&format!("/api/v1/msp/billing-events?{query}")).await.expect_problem(400, "invalid-parameter");
        }
        service.get("/api/v1/me?verbose=1").await.expect_problem(400, "invalid-parameter");
        service.get("/api/v1/msp/billing-events?from=1970-01-01&to=9999-12-31").await.expect(200);
    }

    async fn ids_and_paths_that_are_none_are_absent(service: Service) {
        for id in ["1", "..", "%00", "not-a-uuid", "%2e%2e%2f", &"f".repeat(2000), "{01900000-0000-7000-8000-000000000001}"] {
            let answer = service.get(&format!("{TENANTS}/{id}")).await;
            assert_eq!(answer.status, 404, "{id}: {answer:?}");
        }
        service.get("/api/v2/tenants").await.expect_problem(404, "not-found");
        service.get("/").await.expect_problem(404, "not-found");
        let delete = Answer::of(service.as_msp("DELETE", TENANTS)).await;
        delete.expect_problem(405, "method-not-allowed");
        assert_eq!(delete.header("allow"), "GET, HEAD, POST");
    }

    async fn headers_can_not_be_smuggled_or_forged(service: Service) {
        for token in ["", "x", "a.b.c", "Bearer", &"A".repeat(9_000)] {
            let answer = Answer::of(service.request("GET", "/api/v1/me").header("authorization", format!("Bearer {token}"))).await;
            assert_eq!(answer.status, 401, "{answer:?}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
        let basic = service.request("GET", "/api/v1/me").header("authorization", "Basic YTpi");
        Answer::of(basic).await.expect(401);
        let own = Answer::of(service.as_msp("GET", "/api/v1/me").header("x-request-id", "client-7")).await;
        assert_eq!(own.header("x-request-id"), "client-7");
        let odd = Answer::of(service.as_msp("GET", "/api/v1/me").header("x-request-id", "a b<script>")).await;
        assert_ne!(odd.header("x-request-id"), "a b<script>");
        let bad = service.as_msp("GET", TENANTS).header("tenure-min-position", "soon");
        Answer::of(bad).await.expect_problem(400, "invalid-header");
        let ahead = service.as_msp("GET", TENANTS).header("tenure-min-position", "999999");
        let ahead = Answer::of(ahead).await;
        ahead.expect_problem(503, "views-behind");
        assert_eq!(ahead.header("retry-after"), "1");
    }
}

/// Sends raw bytes; the status line that comes back.
async fn raw(service: &Service, request: &[u8]) -> String {
    let address = service.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn one_request_too_many_is_told_when_to_come_back() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = Service::start_with(storage, &[("TENURE_REQUESTS_PER_MINUTE", "5")]);
    for _ in 0..5 {
        service.get("/api/v1/me").await.expect(200);
    }
    let refused = service.get("/api/v1/me").await;
    refused.expect_problem(429, "too-many-requests");
    assert!((1..=12).contains(&refused.header("retry-after").parse::<u32>().unwrap()), "{refused:?}");
    let other = service.token_of(Role::Billing, service.config.default_msp().id);
    Answer::of(service.request("GET", "/api/v1/me").bearer_auth(other)).await.expect(200);
}

#[tokio::test]
async fn broken_http_does_not_break_the_service() {
    let service = Service::start(Engine::Sqlite).await;
    for request in [
        &b"GARBAGE\r\n\r\n"[..],
        b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nX-Bad: a\x00b\r\n\r\n",
        b"POST /api/v1/msp/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/msp/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    ] {
        let status = raw(&service, request).await;
        assert!(status.starts_with("HTTP/1.1 4"), "{status:?} to {}", String::from_utf8_lossy(request));
    }
    service.get("/api/v1/me").await.expect(200);
}
