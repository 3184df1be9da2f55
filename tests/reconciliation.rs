//! A copy of the billing events can be proved whole, over the API and on the command line.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use tenure_test_engines::shared_kafka;

use crate::service::process::tenure;
use crate::service::{Answer, Engine, Service, ServiceProcess, Storage, eventually, for_each_engine};

const PATH: &str = "/api/v1/msp/billing-events/reconciliation";

/// What a consumer makes of the events that it has, as the README tells it to.
fn of_a_copy(events: &Value) -> Value {
    let mut months: BTreeMap<(String, String), (Value, Vec<String>)> = BTreeMap::new();
    for event in events.as_array().unwrap() {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        let month = text("occurredUtc")[..7].to_owned();
        let entry = months.entry((text("tenantId"), month)).or_insert((event["shortCode"].clone(), Vec::new()));
        entry.1.push(text("eventId"));
    }
    let total = |((tenant, month), (short_code, mut ids)): ((String, String), (Value, Vec<String>))| {
        ids.sort();
        let sha256 = format!("{:x}", Sha256::digest(ids.join("\n")));
        json!({ "tenantId": tenant, "shortCode": short_code, "month": month, "count": ids.len(), "sha256": sha256 })
    };
    months.into_iter().map(total).collect()
}

async fn a_copy_of_the_events_adds_up_to_the_reconciliation(engine: Engine) {
    let service = Service::start(engine).await;
    assert_eq!(service.get(PATH).await.expect(200), json!([]));
    for code in ["acme", "contoso", "initech"] {
        service.tenant(code).await;
    }
    let tenants = service.get("/api/v1/msp/tenants").await.expect(200);
    let path = format!("/api/v1/msp/tenants/{}", tenants[1]["tenantId"].as_str().unwrap());
    service.post_nothing(&format!("{path}/suspend")).await.expect(200);
    let last = service.post_nothing(&format!("{path}/reinstate")).await;

    let events = service.get("/api/v1/msp/billing-events").await.expect(200);
    let answer = service.get(PATH).await;
    assert_eq!(answer.expect(200), of_a_copy(&events));
    assert_eq!(answer.header("content-type"), "application/json");
    let position = |answer: &Answer| answer.header("tenure-position").parse::<u64>().unwrap();
    assert!(position(&answer) >= position(&last), "what is counted is said");

    let day = events[0]["occurredUtc"].as_str().unwrap()[..10].to_owned();
    let today = service.get(&format!("{PATH}?from={day}")).await.expect(200);
    assert_eq!(today.as_array().unwrap().len(), 3);
    assert_eq!(service.get(&format!("{PATH}?from=2020-01-01&to=2020-12-31")).await.expect(200), json!([]));
    let (first, second) = (events[0]["occurredUtc"].as_str().unwrap(), events[1]["occurredUtc"].as_str().unwrap());
    let part = service.get(&format!("{PATH}?from={first}&to={second}")).await.expect(200);
    assert_eq!(part, of_a_copy(&json!([events[0], events[1]])), "both ends are inclusive");
    service.get(&format!("{PATH}?from=2026-05-02&to=2026-05-01")).await.expect_problem(400, "invalid-parameter");
    service.get(&format!("{PATH}?type=tenant.suspended")).await.expect_problem(400, "invalid-parameter");
}

async fn the_command_line_sums_up_beside_a_service_and_without(engine: Engine) {
    let storage = Storage::new(engine).await;
    let reconcile = |arguments: &[&str]| {
        let output = tenure(&storage, &[]).args(["billing", "reconcile"]).args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (done, _, errors) = reconcile(&[]);
    assert!(!done && errors.starts_with("tenure: "), "there is nothing yet: {errors}");

    let service = ServiceProcess::start(&storage, &[]);
    let client = reqwest::Client::new();
    for code in ["acme", "contoso"] {
        let body = json!({ "shortCode": code, "displayName": code, "contactEmail": format!("it@{code}.example") });
        let made = client.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
        Answer::of(made).await.expect(201);
    }
    let asked = Answer::of(client.get(format!("{}{PATH}", service.url)).bearer_auth(&service.token)).await.expect(200);
    let (done, json, errors) = reconcile(&["--json"]);
    assert!(done, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), asked);
    service.terminate();

    let (done, table, errors) = reconcile(&["--from", "2020-01-01"]);
    assert!(done, "{errors}");
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    for (line, month) in lines[1..].iter().zip(asked.as_array().unwrap()) {
        for member in ["tenantId", "shortCode", "month", "sha256"] {
            assert!(line.contains(month[member].as_str().unwrap()), "{line} of {month}");
        }
    }
    let (done, json, _) = reconcile(&["--to", "2020-01-01", "--json"]);
    assert!(done);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([]));
    let (done, _, errors) = reconcile(&["--from", "2026-05-02", "--to", "2026-05-01"]);
    assert!(!done && errors.contains("--from"), "{errors}");
}

async fn the_command_line_holds_the_topic_against_the_log(engine: Engine) {
    let Some(brokers) = shared_kafka() else { return };
    let storage = Storage::new(engine).await;
    let name = uuid::Uuid::now_v7().simple().to_string();
    let (topic, progress) = (format!("billing.{name}"), format!("progress.{name}"));
    let settings = [
        ("TENURE_KAFKA_BROKERS", brokers.as_str()),
        ("TENURE_CELL", &name),
        ("TENURE_KAFKA_TOPIC", &topic),
        ("TENURE_KAFKA_PROGRESS_TOPIC", &progress),
    ];
    let reconcile = |arguments: &[&str]| {
        let output = tenure(&storage, &settings).args(["billing", "reconcile"]).args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let service = ServiceProcess::start(&storage, &settings);
    let client = reqwest::Client::new();
    for code in ["acme", "contoso"] {
        let body = json!({ "shortCode": code, "displayName": code, "contactEmail": format!("it@{code}.example") });
        let made = client.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
        Answer::of(made).await.expect(201);
    }
    let look = || serde_json::from_str::<Value>(&reconcile(&["--topic", "--json"]).1).unwrap_or_default();
    eventually("both events are exported", || {
        let found = look();
        async move { found["events"] == 2 }
    })
    .await;
    let found = look();
    assert_eq!((&found["records"], &found["findings"], &found["topic"]), (&json!(2), &json!([]), &json!(topic)));
    let (code, said, errors) = reconcile(&["--topic", &topic, "--from", "2020-01-01"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(said.starts_with(&format!("{topic}: 2 records, 2 events")), "{said}");
    let (_, said, _) = reconcile(&["--topic", "--to", "2020-01-01"]);
    assert!(said.contains("0 records, 0 events"), "{said}");
    let (code, _, errors) = reconcile(&["--topic", "nowhere"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("there is no topic nowhere"), "{errors}");
    // The progress topic holds no event.
    let (code, said, errors) = reconcile(&["--topic", &progress]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(said.contains("missing: event ") && said.contains("2 missing"), "{said}");
    service.terminate();
    let output = tenure(&storage, &[]).args(["billing", "reconcile", "--topic"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("kafka_brokers"), "which are not configured");
}

for_each_engine! {
    the_command_line_holds_the_topic_against_the_log
    a_copy_of_the_events_adds_up_to_the_reconciliation
    the_command_line_sums_up_beside_a_service_and_without
}
