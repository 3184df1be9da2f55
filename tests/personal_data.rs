//! Nothing personal stands in the clear: not in the database, not in the log lines.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::service::{Answer, Engine, ServiceProcess, Storage, eventually, for_each_engine};

const SECRETS: [&str; 5] = [
    "whoever.reads.this",
    "wilhelmina.von.ausgedacht",
    "Wilhelmina von Ausgedacht",
    "nachgedacht",
    "quiet-please.example",
];

/// Where the requests come from; the log names it as the address to listen on.
const CLIENT_ADDRESS: &str = "127.0.0.1";

/// Everything that the engine keeps, as bytes.
fn dump(storage: &Storage) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(url) = storage.database_url() {
        // What follows the `?` is for this program's driver.
        let url = url.split('?').next().unwrap();
        let output = Command::new(pg_dump()).args(["--dbname", url]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        bytes.extend(output.stdout);
    }
    for entry in std::fs::read_dir(storage.directory.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    bytes
}

/// `pg_dump` stands beside the server's programs, as `scripts/with-postgres` names them.
fn pg_dump() -> std::path::PathBuf {
    let directory = std::env::var_os("PGBIN").expect("PGBIN is set by scripts/with-postgres: run `make test`");
    Path::new(&directory).join("pg_dump")
}

fn find(haystack: &[u8], needle: &str) -> bool {
    let (haystack, needle) = (haystack.to_ascii_lowercase(), needle.to_ascii_lowercase());
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

async fn nothing_personal_is_kept_or_logged_in_the_clear(engine: Engine) {
    let storage = Storage::new(engine).await;
    let service = ServiceProcess::start(&storage, &[("TENURE_LOG", "trace,h2=info,hyper=info,mio=info,polling=info")]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let tenants = format!("{}/api/v1/msp/tenants", service.url);
    let body = json!({
        "shortCode": "sealed", "displayName": "Sealed Ltd", "contactEmail": "whoever.reads.this@quiet-please.example",
        "adminEmail": "wilhelmina.von.ausgedacht@quiet-please.example", "adminDisplayName": "Wilhelmina von Ausgedacht",
    });
    let made = Answer::of(client.post(&tenants).bearer_auth(&service.token).json(&body)).await.expect(201);
    let path = format!("{tenants}/{}", made["tenantId"].as_str().unwrap());
    let update = json!({"contactEmail": "nachgedacht@quiet-please.example"});
    Answer::of(client.patch(&path).bearer_auth(&service.token).json(&update)).await.expect(200);
    // Refusals are logged by other ways than successes.
    Answer::of(client.post(&tenants).bearer_auth(&service.token).json(&body)).await.expect(409);
    let broken = json!({"shortCode": "x", "contactEmail": "wilhelmina.von.ausgedacht@"});
    Answer::of(client.post(&tenants).bearer_auth(&service.token).json(&broken)).await.expect(400);
    let shown = Answer::of(client.get(&path).bearer_auth(&service.token)).await.expect(200);
    assert_eq!(shown["contactEmail"], "nachgedacht@quiet-please.example", "it is there, for who may see it");

    let tokens = format!("{}/api/v1/tokens", service.url);
    let body = json!({"name": "nightly sync", "role": "msp-admin", "expiresInDays": 1});
    let ask = || client.post(&tokens).bearer_auth(&service.token).header("idempotency-key", "k").json(&body);
    let made = Answer::of(ask()).await.expect(201);
    let access_token = made["token"].as_str().unwrap().to_owned();
    Answer::of(ask()).await.expect(409);
    let list = || client.get(&tokens).header("authorization", format!("Token {access_token}"));
    let list_of_one = Answer::of(list()).await;
    assert!(!list_of_one.text.contains(&access_token), "a token is shown once");
    Answer::of(client.delete(format!("{tokens}/{}", made["id"].as_str().unwrap())).bearer_auth(&access_token)).await;
    Answer::of(list()).await.expect(401);

    let running = dump(&storage);
    let token = service.token.clone();
    let log = service.terminate();
    let stopped = dump(&storage);
    assert!(find(&stopped, "sealed-ltd") || find(&stopped, "Sealed Ltd"), "the dump holds what is not personal");
    assert!(log.contains("answered"), "the log was written: {log}");
    for secret in SECRETS {
        assert!(!find(&running, secret), "{secret} stands in the running database");
        assert!(!find(&stopped, secret), "{secret} stands in the database");
        assert!(!find(log.as_bytes(), secret), "{secret} stands in the log");
    }
    assert!(!find(&stopped, CLIENT_ADDRESS), "the client's address stands in the database");
    assert!(!log.contains(&token), "a token stands in the log");
    assert!(find(&stopped, "nightly sync"), "what the access token is for stands there");
    // Neither the whole of it nor the part that is secret.
    for part in [&access_token[..], &access_token[4..34]] {
        assert!(!find(&running, part) && !find(&stopped, part), "an access token stands in the database");
        assert!(!log.contains(part), "an access token stands in the log");
    }
}

async fn a_deleted_tenants_data_is_gone_from_the_files(engine: Engine) {
    let storage = Storage::new(engine).await;
    let service = ServiceProcess::start(&storage, &[("TENURE_RETENTION_DAYS", "1"), ("TENURE_CLOCK_OFFSET", "-3d")]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let tenants = format!("{}/api/v1/msp/tenants", service.url);
    let body = json!({"shortCode": "leaving", "displayName": "Leaving", "contactEmail": "gone@quiet-please.example"});
    let made = Answer::of(client.post(&tenants).bearer_auth(&service.token).json(&body)).await.expect(201);
    let id = made["tenantId"].as_str().unwrap().to_owned();
    let leave = client.post(format!("{tenants}/{id}/deprovision")).bearer_auth(&service.token);
    Answer::of(leave.json(&json!({"confirmShortCode": "leaving"}))).await.expect(200);
    service.terminate();

    let service = ServiceProcess::start(&storage, &[("TENURE_RETENTION_DAYS", "1")]);
    eventually("the tenant is deleted", async || {
        let detail = client.get(format!("{}/api/v1/msp/tenants/{id}", service.url)).bearer_auth(&service.token);
        Answer::of(detail).await.expect(200)["contactEmail"] == "erased"
    })
    .await;
    service.terminate();
    // Even with the master key in hand, nobody can open it: the tenant's wrapped key is no longer there.
    let shown = crate::service::process::run(&storage, &["events", "tail", "--open", "-n", "100", "--tenant", &id]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("tenant.provisioned"), "the history is whole: {shown}");
    assert!(shown.contains("$erased") && !shown.contains("quiet-please"), "{shown}");
}

for_each_engine! {
    nothing_personal_is_kept_or_logged_in_the_clear
    a_deleted_tenants_data_is_gone_from_the_files
}
