//! The billing export as operators and exporters meet it: settings, `/health/ready`, metrics, `tenure billing resume`, and kcat
//! as a reader that shares no code with the service.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenure_test_engines::{free_port, shared_kafka};
use tokio::process::Command;
use uuid::Uuid;

use crate::service::process::{run, tenure};
use crate::service::{Answer, Engine, Service, Storage, eventually, for_each_engine};

for_each_engine! {
    events_wait_for_brokers_and_then_flow_from_the_first_one
    an_operator_says_where_a_stopped_export_goes_on
    commands_go_on_while_the_brokers_are_down
}

/// Settings for an export of the test's own.
struct Export {
    brokers: String,
    cell: String,
    topic: String,
    progress: String,
}

impl Export {
    fn to(brokers: &str) -> Self {
        let name = Uuid::now_v7().simple();
        Self {
            brokers: brokers.to_owned(),
            cell: format!("service-{name}"),
            topic: format!("service.{name}"),
            progress: format!("service.{name}.progress"),
        }
    }

    fn settings(&self) -> [(&'static str, &str); 5] {
        [
            ("TENURE_KAFKA_BROKERS", &self.brokers),
            ("TENURE_CELL", &self.cell),
            ("TENURE_KAFKA_TOPIC", &self.topic),
            ("TENURE_KAFKA_PROGRESS_TOPIC", &self.progress),
            ("TENURE_PUBLIC_URL", "https://tenure.example/"),
        ]
    }

    /// What kcat finds, in the order of `ce_sequence`.
    async fn records(&self) -> Vec<Record> {
        let mut kcat = Command::new("kcat");
        kcat.args(["-C", "-b", &self.brokers, "-t", &self.topic, "-o", "beginning", "-e", "-q", "-J"]);
        kcat.args(["-X", "isolation.level=read_committed"]);
        let ended = kcat.output().await.expect("kcat is not installed: run `make test`, which sees to that");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let lines = String::from_utf8(ended.stdout).unwrap();
        let mut records: Vec<Record> = lines.lines().map(Record::of).collect();
        records.sort_by_key(|record| record.headers["ce_sequence"].clone());
        records
    }
}

struct Record {
    key: String,
    headers: BTreeMap<String, String>,
    payload: String,
}

impl Record {
    fn of(line: &str) -> Self {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{record}")).to_owned();
        let headers: Vec<String> = record["headers"].as_array().unwrap().iter().map(text).collect();
        let headers = headers.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        Self { key: text(&record["key"]), headers, payload: text(&record["payload"]) }
    }
}

async fn ready(service: &Service) -> (u16, Value) {
    let answer = Answer::of(service.request("GET", "/health/ready")).await;
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

/// Waits until nothing is left to export.
async fn exported(service: &Service) {
    eventually("everything is exported", async || {
        let (_, body) = ready(service).await;
        body["export"]["state"] == "exporting" && body["export"]["lagEvents"] == 0
    })
    .await;
}

/// Waits until the export says this; the answer's part about it.
async fn says(service: &Service, state: &str, reason: &str) -> Value {
    let found = RefCell::new(Value::Null);
    eventually(&format!("the export is {state}: {reason}"), async || {
        let (status, body) = ready(service).await;
        assert_eq!(status, 200, "it turns no client away: {body}");
        let export = &body["export"];
        found.replace(export.clone());
        export["state"] == state && export["reason"].as_str().is_some_and(|said| said.contains(reason))
    })
    .await;
    found.into_inner()
}

async fn metrics(service: &Service) -> BTreeMap<String, String> {
    let page = Answer::of(service.request("GET", "/metrics")).await.text;
    let samples = page.lines().filter(|line| line.starts_with("tenure_export_"));
    samples.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn events_wait_for_brokers_and_then_flow_from_the_first_one(engine: Engine) {
    let Some(brokers) = shared_kafka() else { return };
    let service = Service::start_with(Storage::new(engine).await, &[]);
    let acme = service.tenant("acme").await;
    service.tenant("contoso").await;
    let (status, body) = ready(&service).await;
    assert_eq!((status, body.get("export")), (200, None), "without brokers there is nothing to say");
    assert!(metrics(&service).await.is_empty());

    let export = Export::to(&brokers);
    let service = Service::start_with(service.stop(), &export.settings());
    service.post(&format!("/api/v1/msp/tenants/{acme}/suspend"), &json!({"reason": "unpaid é"})).await.expect(200);
    service.post_nothing(&format!("/api/v1/msp/tenants/{acme}/reinstate")).await.expect(200);
    exported(&service).await;
    let listed =
        Answer::of(service.as_msp("GET", "/api/v1/msp/billing-events").header("accept", "application/x-ndjson"));
    let listed = listed.await.text;
    let listed: Vec<&str> = listed.lines().collect();
    let records = export.records().await;
    let payloads: Vec<&str> = records.iter().map(|record| record.payload.as_str()).collect();
    assert_eq!(payloads, listed, "the API's documents, byte for byte, from the first one on");
    assert_eq!(records.len(), 4);
    for record in &records {
        let event: Value = serde_json::from_str(&record.payload).unwrap();
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        assert_eq!(record.key, text("tenantId"));
        let expected = [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", text("eventId")),
            ("ce_source", format!("urn:tenure:cell:{}", export.cell)),
            ("ce_type", text("type")),
            ("ce_subject", text("tenantId")),
            ("ce_time", text("occurredUtc")),
            ("ce_sequence", format!("{:020}", event["position"].as_u64().unwrap())),
            ("ce_dataschema", format!("https://tenure.example/schemas/billing/{}.v1.json", text("type"))),
            ("content-type", "application/json".to_owned()),
        ];
        assert_eq!(record.headers, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }
    let last: Value = serde_json::from_str(listed[3]).unwrap();
    let (status, body) = ready(&service).await;
    assert_eq!(
        (status, &body["export"]),
        (200, &json!({"state": "exporting", "position": last["position"], "lagEvents": 0}))
    );
    let metrics = metrics(&service).await;
    for (name, value) in [
        ("tenure_export_state{state=\"exporting\"}", "1"),
        ("tenure_export_state{state=\"stopped\"}", "0"),
        ("tenure_export_lag_events", "0"),
        ("tenure_export_events_total", "4"),
        ("tenure_export_failures_total", "0"),
        ("tenure_export_position", &last["position"].to_string()),
    ] {
        assert_eq!(metrics.get(name).map(String::as_str), Some(value), "{name}: {metrics:?}");
    }
    // A restart sends nothing twice.
    let service = Service::start_with(service.stop(), &export.settings());
    service.tenant("fabrikam").await;
    exported(&service).await;
    assert_eq!(export.records().await.len(), 5);
}

async fn an_operator_says_where_a_stopped_export_goes_on(engine: Engine) {
    let Some(brokers) = shared_kafka() else { return };
    let mut export = Export::to(&brokers);
    let service = Service::start_with(Storage::new(engine).await, &export.settings());
    service.tenant("acme").await;
    service.tenant("contoso").await;
    exported(&service).await;

    export.topic = format!("{}.v2", export.topic);
    let service = Service::start_with(service.stop(), &export.settings());
    let stopped = says(&service, "stopped", "the progress is that of another billing topic").await;
    assert!(stopped["reason"].as_str().unwrap().contains("tenure billing resume"), "{stopped}");
    service.tenant("fabrikam").await;
    assert_eq!(metrics(&service).await["tenure_export_state{state=\"stopped\"}"], "1");
    let storage = std::sync::Arc::clone(service.storage());
    let resume = |arguments: &[&str]| run(&storage, &[&["billing", "resume"], arguments].concat());
    for wrong in [&[][..], &["--from", "0", "--rescan"], &["--from", "nowhere"]] {
        assert_eq!(resume(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let done = resume(&["--from", "1000000"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    says(&service, "stopped", "the order \"from 1000000\" is refused: the log ends at").await;
    assert!(resume(&["--rescan"]).status.success());
    says(&service, "stopped", "the order \"rescan\" is refused: there is no billing topic").await;
    let done = resume(&["--from", "0"]);
    assert!(String::from_utf8_lossy(&done.stdout).contains("The order \"from 0\" is left"), "{done:?}");
    exported(&service).await;
    assert_eq!(export.records().await.len(), 3);

    // Also where no service runs: the next one finds the order.
    export.topic = format!("{}.v3", export.topic);
    drop(service.stop());
    let done = tenure(&storage, &export.settings()).args(["billing", "resume", "--from", "0"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let service = Service::start_with(storage, &export.settings());
    exported(&service).await;
    assert_eq!(export.records().await.len(), 3);
}

async fn commands_go_on_while_the_brokers_are_down(engine: Engine) {
    let export = Export::to(&format!("127.0.0.1:{}", free_port()));
    let service = Service::start_with(Storage::new(engine).await, &export.settings());
    let connecting = says(&service, "connecting", "the brokers don't answer").await;
    let lag = connecting["lagEvents"].as_u64().unwrap();
    let began = Instant::now();
    service.tenant("acme").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let grown = says(&service, "connecting", "the brokers don't answer").await["lagEvents"].as_u64().unwrap();
    assert_eq!(grown, lag + 2, "a tenant and its administrator");
    let metrics = metrics(&service).await;
    assert_eq!(metrics["tenure_export_lag_events"], grown.to_string());
    assert_eq!(metrics["tenure_export_state{state=\"connecting\"}"], "1");
    let began = Instant::now();
    drop(service.stop());
    assert!(began.elapsed() < Duration::from_secs(5), "it does not wait for them: {:?}", began.elapsed());
}
