//! Spans reach a collector with the parent that the client named, tell nothing personal, and cost nobody an answer.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::service::collector::{Collector, attribute};
use crate::service::{Answer, Engine, ServiceProcess, Storage, eventually, for_each_engine};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn provision(service: &ServiceProcess, code: &str) -> reqwest::RequestBuilder {
    let body =
        json!({"shortCode": code, "displayName": "Somebody's Firm", "contactEmail": "hidden.person@acme.example"});
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body)
}

async fn a_provisioning_is_traced_under_the_clients_span(engine: Engine) {
    let collector = Collector::start();
    let storage = Storage::new(engine).await;
    let settings = [("TENURE_OTLP_ENDPOINT", collector.url.as_str()), ("TENURE_OTLP_SAMPLING_RATIO", "0")];
    let service = ServiceProcess::start(&storage, &settings);
    let parent = format!("00-{TRACE}-{CLIENT}-01");
    let made = provision(&service, "acme").header("traceparent", &parent).header("x-request-id", "my-request");
    let made = Answer::of(made).await.expect(201);
    let detail = format!("{}/api/v1/msp/tenants/{}", service.url, made["tenantId"].as_str().unwrap());
    let detail = reqwest::Client::new().get(detail).bearer_auth(&service.token).header("traceparent", &parent);
    Answer::of(detail).await.expect(200);
    // Not sampled by the client, and the ratio is 0.
    Answer::of(provision(&service, "contoso").header("traceparent", parent.replace("-01", "-00"))).await.expect(201);
    Answer::of(provision(&service, "globex")).await.expect(201);
    // Right at the end: what was not sent yet is sent then.
    service.terminate();

    let spans = collector.spans();
    let named = |name: &str| -> Vec<&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let [request] = named("POST /api/v1/msp/tenants")[..] else { panic!("one request: {spans:?}") };
    assert_eq!((hex(&request.trace_id).as_str(), hex(&request.parent_span_id).as_str()), (TRACE, CLIENT));
    assert_eq!(attribute(request, "http.route").as_deref(), Some("/api/v1/msp/tenants"));
    assert_eq!(attribute(request, "http.status").as_deref(), Some("201"));
    assert_eq!(attribute(request, "request.id").as_deref(), Some("my-request"));
    let [append] = named("append")[..] else { panic!("one append: {spans:?}") };
    assert_eq!(append.parent_span_id, request.span_id);
    assert_eq!(request.kind, SpanKind::Server as i32);
    let [detail] = named("GET /api/v1/msp/tenants/{tenantId}")[..] else { panic!("one more request: {spans:?}") };
    assert_eq!(hex(&detail.parent_span_id), CLIENT);
    let [load] = named("load")[..] else { panic!("one load: {spans:?}") };
    assert_eq!(load.parent_span_id, detail.span_id);
    assert!(append.start_time_unix_nano >= request.start_time_unix_nano);
    assert!(append.end_time_unix_nano <= request.end_time_unix_nano);
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "nothing else was sampled: {spans:?}");

    let bytes = collector.bytes();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("tenure"), "the service says who it is");
    for hidden in ["hidden.person", "Somebody", "acme", "Bearer", service_token(&storage).as_str()] {
        assert!(!holds(hidden), "{hidden} is nobody's business");
    }
}

/// The key that development tokens are signed with: nothing of it may leave.
fn service_token(storage: &Storage) -> String {
    let key = std::fs::read_to_string(storage.directory.path().join("data/development.key")).unwrap();
    key.lines().nth(1).unwrap_or(&key).to_owned()
}

#[tokio::test]
async fn batches_of_the_views_are_traced_by_themselves() {
    let collector = Collector::start();
    let storage = Storage::new(Engine::Sqlite).await;
    let settings = [("TENURE_OTLP_ENDPOINT", collector.url.as_str()), ("TENURE_OTLP_SAMPLING_RATIO", "1")];
    let service = ServiceProcess::start(&storage, &settings);
    Answer::of(provision(&service, "acme")).await.expect(201);
    eventually("spans arrive while the service runs", async || {
        let spans = collector.spans();
        let batch = spans.iter().any(|span| span.name == "projection.batch" && span.parent_span_id.is_empty());
        batch && spans.iter().any(|span| span.name == "POST /api/v1/msp/tenants" && span.parent_span_id.is_empty())
    })
    .await;
    service.terminate();
}

#[tokio::test]
async fn a_collector_that_hangs_slows_nobody_down() {
    // It takes connections, as far as the kernel does so for it, and never answers.
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hung.local_addr().unwrap());
    let storage = Storage::new(Engine::Sqlite).await;
    let settings = [
        ("TENURE_OTLP_ENDPOINT", url.as_str()),
        ("TENURE_OTLP_SAMPLING_RATIO", "1"),
        ("TENURE_SHUTDOWN_SECONDS", "10"),
    ];
    let service = ServiceProcess::start(&storage, &settings);
    let mut slowest = Duration::ZERO;
    for number in 0..300 {
        let began = Instant::now();
        Answer::of(provision(&service, &format!("tenant-{number}"))).await.expect(201);
        slowest = slowest.max(began.elapsed());
    }
    // An export that is waited for takes 5 s; a slow machine does not take 3 s for one command.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    let stopped = Instant::now();
    service.terminate();
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
}

for_each_engine! {
    a_provisioning_is_traced_under_the_clients_span
}
