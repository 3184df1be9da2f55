//! No transaction of the service stays open, whatever reads its log: an old one keeps `PostgreSQL` from cleaning up.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tenure_test_engines::{old_transactions, shared_kafka};
use uuid::Uuid;

use crate::service::process::tenure;
use crate::service::{Engine, Service, Storage, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_the_export_nor_auditors_keep_one_open() {
    let Some(brokers) = shared_kafka() else { return };
    let name = format!("transactions-{}", Uuid::now_v7());
    let (topic, progress) = (format!("{name}.live"), format!("{name}.progress"));
    let settings = [
        ("TENURE_KAFKA_BROKERS", brokers.as_str()),
        ("TENURE_CELL", &name),
        ("TENURE_KAFKA_TOPIC", &topic),
        ("TENURE_KAFKA_PROGRESS_TOPIC", &progress),
    ];
    let service = Service::start_with(Storage::new(Engine::Postgres).await, &settings);
    let mut observer = PgConnection::connect(service.storage().database_url().unwrap()).await.unwrap();
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::from(tenure(service.storage(), &settings));
        let ended = command.args(arguments).output().await.unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    };
    let work = async {
        // Who follows the log reads on for as long as it is written.
        let mut follower = tokio::process::Command::from(tenure(service.storage(), &settings));
        follower.args(["events", "tail", "--after", "0", "--follow", "--open"]).kill_on_drop(true);
        let _follower = follower.stdout(std::process::Stdio::null()).spawn().unwrap();
        for number in 0..150 {
            service.tenant(&format!("tenant-{number}")).await;
        }
        run(&["events", "tail", "--after", "0", "--open"]).await;
        run(&["billing", "reconcile"]).await;
        eventually("all of it is exported", async || {
            let body: serde_json::Value =
                service.request("GET", "/health/ready").send().await.unwrap().json().await.unwrap();
            body["export"]["state"] == "exporting" && body["export"]["lagEvents"] == 0
        })
        .await;
        run(&["billing", "reconcile", "--topic"]).await;
        run(&["billing", "replay", "--from", "1", "--to", "100", "--topic", &format!("{name}.again")]).await;
        // Nothing goes on, and nothing is open: the export keeps its place by a lease.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    };
    tokio::pin!(work);
    let mut looks = 0;
    loop {
        tokio::select! {
            () = &mut work => break,
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                let found = old_transactions(&mut observer).await;
                assert!(found.is_empty(), "{found:?}");
                looks += 1;
            }
        }
    }
    assert!(looks > 20, "{looks}");
}
