//! A primary and a standby, and an address that names both: the log is where it can be written.

use std::time::Duration;

use tenure_event_log::{AppendError, Clock, EngineConfig, EventLog, Lane, LogConfig, MasterKey, OpenError};
use tenure_test_engines::PostgresCluster;

use crate::bench::{append, everything, spawn};
use crate::facts;

fn config(url: String) -> LogConfig {
    let engine = EngineConfig::Postgres { url: url.into(), max_connections: 3 };
    LogConfig { outage_patience_ms: 300, ..LogConfig::new(engine, MasterKey::generate(), Clock::default()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_follows_a_failover_on_postgres() {
    let mut primary = PostgresCluster::start();
    let standby = primary.standby();
    primary.wait_for_standbys();
    // The standby is named first, and passed over.
    let url = format!("postgres://tenure@127.0.0.1:{},127.0.0.1:{}/postgres", standby.port(), primary.port());
    let config = config(url);
    EventLog::migrate(&config.engine).await.unwrap();
    let log = EventLog::open(config).await.unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..20 {
        acknowledged.push(append(&log, facts::anything()).await.last);
    }
    primary.kill9();
    // Whether it is refused or its answer lost is up to the moment; a lost one is looked for where the log then is.
    let during = spawn(&log, facts::anything());
    tokio::time::sleep(Duration::from_millis(500)).await;
    standby.promote();
    match during.await.unwrap() {
        Ok(appended) => acknowledged.push(appended.last),
        Err(AppendError::Unavailable { unknown: false, .. }) => {}
        Err(other) => panic!("{other}"),
    }
    let appended = loop {
        if let Ok(appended) = log.append(facts::anything(), Lane::Foreground).await {
            break appended;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // Reading goes on, too, on connections of the pool's.
    let found = loop {
        match log.head().await {
            Ok(head) if head >= appended.last => break everything(&log).await,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    assert!(found.iter().map(|event| event.position).eq(acknowledged.into_iter().chain([appended.last])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_alone_is_no_log_on_postgres() {
    let primary = PostgresCluster::start();
    let migrated = config(primary.url());
    EventLog::migrate(&migrated.engine).await.unwrap();
    let standby = primary.standby();
    let alone = config(format!("{}?target_session_attrs=read-write", standby.url()));
    let opened = EventLog::open(alone).await;
    assert!(matches!(opened, Err(OpenError::Unavailable(_))), "{opened:?}");
}
