//! Log lines for collectors: one JSON object each, with what finds a request again, and nothing that must not be known.

use serde_json::{Value, json};
use sqlx::Connection;

use crate::service::{Answer, Engine, ServiceProcess, Storage, for_each_engine};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn lines(errors: &str) -> Vec<Value> {
    errors.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

async fn every_request_leaves_one_line_that_finds_it_again(engine: Engine) {
    let storage = Storage::new(engine).await;
    let settings = [("TENURE_LOG", "warn,tenure=trace"), ("TENURE_LOG_FORMAT", "json")];
    let service = ServiceProcess::start(&storage, &settings);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let tenants = format!("{}/api/v1/msp/tenants", service.url);
    let body = json!({
        "shortCode": "acme", "displayName": "Acme", "contactEmail": "hidden.person@acme.example",
    });
    let made = http.post(&tenants).bearer_auth(&service.token).json(&body).header("x-request-id", "first");
    let made = Answer::of(made.header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))).await.expect(201);
    let id = made["tenantId"].as_str().unwrap();
    Answer::of(http.get(format!("{tenants}/{id}")).header("x-request-id", "second")).await.expect(401);
    let lost = http.get(format!("{}/secret-path?token=hush-hush", service.url)).header("x-request-id", "third");
    Answer::of(lost).await.expect(404);
    let token = service.token.clone();
    let errors = service.terminate();

    let lines = lines(&errors);
    let access: Vec<_> = lines.iter().filter(|line| line["target"] == "tenure::access").collect();
    let of = |request: &str| -> &Value {
        let [line] = access.iter().filter(|line| line["request.id"] == request).collect::<Vec<_>>()[..] else {
            panic!("one line of {request}: {access:?}")
        };
        line
    };
    let (first, second, third) = (of("first"), of("second"), of("third"));
    assert_eq!(first["http.method"], "POST");
    assert_eq!(first["http.route"], "/api/v1/msp/tenants");
    assert_eq!(first["http.status"], 201);
    assert_eq!(first["trace.id"], TRACE);
    assert!(first["duration_ms"].as_f64().unwrap() > 0.0 && first["timestamp"].is_string(), "{first}");
    assert_eq!(
        (&second["http.route"], &second["http.status"]),
        (&json!("/api/v1/msp/tenants/{tenantId}"), &json!(401))
    );
    assert!(second.get("trace.id").is_none(), "{second}");
    assert_eq!((&third["http.route"], &third["http.status"]), (&json!("unmatched"), &json!(404)));
    for hidden in ["hidden.person", "hush-hush", "secret-path", &token] {
        assert!(!errors.contains(hidden), "{hidden} is in the log");
    }
}

#[tokio::test]
async fn what_goes_wrong_within_a_request_is_found_by_its_id() {
    let storage = Storage::new(Engine::Postgres).await;
    let service = ServiceProcess::start(&storage, &[("TENURE_LOG_FORMAT", "json")]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let tenants = format!("{}/api/v1/msp/tenants", service.url);
    let body = json!({"shortCode": "acme", "displayName": "Acme", "contactEmail": "hidden.person@acme.example"});
    let made = Answer::of(http.post(&tenants).bearer_auth(&service.token).json(&body)).await.expect(201);
    let id = made["tenantId"].as_str().unwrap();
    let mut database = sqlx::PgConnection::connect(storage.database_url().unwrap()).await.unwrap();
    let damage = "update events set payload = '{}' where aggregate_type = 'tenant' and aggregate_id = $1";
    sqlx::query(damage).bind(id).execute(&mut database).await.unwrap();
    let detail = http.get(format!("{tenants}/{id}")).bearer_auth(&service.token).header("x-request-id", "broken");
    Answer::of(detail).await.expect(500);
    let errors = service.terminate();
    let lines = lines(&errors);
    let told: Vec<_> = lines.iter().filter(|line| line["spans"][0]["request.id"] == "broken").collect();
    assert!(told.iter().any(|line| line["level"] == "ERROR"), "{errors}");
    assert!(!errors.contains("hidden.person"), "{errors}");
}

#[tokio::test]
async fn access_lines_are_off_by_default() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[("TENURE_LOG", "info"), ("TENURE_LOG_FORMAT", "json")]);
    reqwest::get(format!("{}/health/live", service.url)).await.unwrap();
    let errors = service.terminate();
    let lines = lines(&errors);
    assert!(lines.iter().any(|line| line["message"] == "stopping"), "{errors}");
    assert!(lines.iter().all(|line| line["target"] != "tenure::access"), "{errors}");
}

for_each_engine! {
    every_request_leaves_one_line_that_finds_it_again
}
