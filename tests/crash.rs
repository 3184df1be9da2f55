//! `kill -9` of the service under load: what was acknowledged is there afterwards, once, and the service goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::service::{Answer, Engine, ServiceProcess, Storage, eventually, for_each_engine};

const CLIENTS: usize = 8;

/// Provisions until the service is gone; the short codes that were acknowledged.
async fn provision_until_killed(
    service: &ServiceProcess,
    round: usize,
    client: usize,
    gone: &AtomicBool,
) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let code = format!("r{round}-c{client}-{number}");
        let body = json!({"shortCode": code, "displayName": code, "contactEmail": "it@acme.example"});
        let request = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
        match request.send().await {
            Ok(answer) if answer.status() == 201 => acknowledged.push(code),
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap()),
            Err(_) if gone.load(Ordering::Relaxed) => break,
            Err(error) => panic!("{error}"),
        }
    }
    acknowledged
}

async fn what_was_acknowledged_survives_kill_9(engine: Engine) {
    let storage = Storage::new(engine).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let service = ServiceProcess::start(&storage, &[]);
        let gone = AtomicBool::new(false);
        let clients = (0..CLIENTS).map(|client| provision_until_killed(&service, round, client, &gone));
        let killer = async {
            // Another moment each time.
            tokio::time::sleep(Duration::from_millis(300 + 170 * round as u64)).await;
            gone.store(true, Ordering::Relaxed);
            let killed = std::process::Command::new("kill").args(["-9", &service.id().to_string()]).status().unwrap();
            assert!(killed.success());
        };
        let (lists, ()) = tokio::join!(futures::future::join_all(clients), killer);
        acknowledged.extend(lists.into_iter().flatten());
        service.kill();
    }
    assert!(acknowledged.len() > 3 * CLIENTS, "the clients got something done: {}", acknowledged.len());

    let service = ServiceProcess::start(&storage, &[]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: String| Answer::of(http.get(format!("{}{path}", service.url)).bearer_auth(&service.token));
    eventually("the service is ready", async || get("/health/ready".to_owned()).await.status == 200).await;
    let bill = get("/api/v1/msp/billing-events".to_owned()).await.expect(200);
    let billed: Vec<_> =
        bill.as_array().unwrap().iter().map(|event| event["shortCode"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<_> = billed.iter().cloned().collect();
    assert_eq!(once.len(), billed.len(), "nothing is billed twice");
    let lost: Vec<_> = acknowledged.difference(&once).collect();
    assert!(lost.is_empty(), "acknowledged, but lost: {lost:?}");
    let total = get("/api/v1/msp/tenants?pageSize=1".to_owned()).await;
    assert_eq!(total.header("x-total-count"), billed.len().to_string(), "the list agrees with the bill");
    // Unacknowledged ones may be there, at most one per client and round.
    assert!(billed.len() - acknowledged.len() <= 3 * CLIENTS);
    no_gap(&storage);
}

/// Every position up to the head is there, once.
fn no_gap(storage: &Storage) {
    let tail = crate::service::process::run(storage, &["events", "tail", "--after", "0"]);
    assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
    let text = String::from_utf8(tail.stdout).unwrap();
    for (index, line) in text.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["position"].as_u64(), Some(index as u64 + 1));
    }
    assert!(text.lines().count() > 10);
}

for_each_engine! {
    what_was_acknowledged_survives_kill_9
}
