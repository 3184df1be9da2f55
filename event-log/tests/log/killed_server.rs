//! The server, or the writer's part of it, is killed: an append is written once or not at all, and who asked learns
//! which.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tenure_event_log::{AppendError, Clock, EngineConfig, EventLog, Lane, LogConfig, MasterKey, Position, ReadError};
use tenure_test_engines::PostgresCluster;

use crate::bench::{Bench, append, everything, spawn};
use crate::facts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_backend_was_terminated_is_written_once_on_postgres() {
    let bench = Bench::postgres().await;
    let log = bench.log().await;
    append(&log, facts::anything()).await;
    let stall = bench.stall().await;
    let waiting: Vec<_> = (0..10).map(|_| spawn(&log, facts::anything())).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let terminated: i64 = sqlx::query_scalar(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'",
    )
    .fetch_one(&mut bench.connect().await)
    .await
    .unwrap();
    assert_eq!(terminated, 1);
    stall.end().await;
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(everything(&log).await.len(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_does_not_notice_that_every_pooled_connection_is_gone_on_postgres() {
    let bench = Bench::postgres().await;
    let log = bench.log().await;
    append(&log, facts::anything()).await;
    let mut bystander = bench.connect().await;
    for round in 0..5 {
        // As many connections as there are reads at once.
        let reads = (0..8).map(|_| {
            tokio::spawn({
                let log = log.clone();
                async move { log.read(Position::START, 10).await }
            })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap().unwrap();
        }
        let terminate = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        let terminated: i64 = sqlx::query_scalar(terminate).fetch_one(&mut bystander).await.unwrap();
        assert!(terminated > 2, "the writer's and several of the readers': {terminated}");
        assert_eq!(log.read(Position::START, 10).await.unwrap().len(), 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_killed_server_on_postgres() {
    let mut cluster = PostgresCluster::start();
    let engine = EngineConfig::Postgres { url: cluster.url().into(), max_connections: 4 };
    EventLog::migrate(&engine).await.unwrap();
    let config = LogConfig::new(engine, MasterKey::generate(), Clock::default());
    let log = EventLog::open(LogConfig { outage_patience_ms: 500, ..config }).await.unwrap();

    let mut acknowledged = Vec::new();
    for round in 0..2 {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..16).map(|_| tokio::spawn(write_until(log.clone(), Arc::clone(&stop)))).collect();
        tokio::time::sleep(Duration::from_millis(150 + 100 * round)).await;
        cluster.kill9();
        assert!(matches!(log.head().await, Err(ReadError::Unavailable { .. })));
        cluster.restart();
        // It recovers by itself.
        while log.append(facts::anything(), Lane::Foreground).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.store(true, Ordering::SeqCst);
        let (mut refused, mut committed) = (Vec::new(), Vec::new());
        for writer in writers {
            let (acknowledged, unavailable) = writer.await.unwrap();
            committed.extend(acknowledged);
            refused.extend(unavailable);
        }
        acknowledged.extend(committed);

        let there: Vec<String> =
            everything(&log).await.into_iter().map(|event| facts::metadata(&event, "command_id")).collect();
        assert!(refused.iter().all(|id| !there.contains(id)), "what was refused is not there");
        for (id, position) in &acknowledged {
            let place = usize::try_from(position.get()).unwrap() - 1;
            assert_eq!(&there[place], id, "what was acknowledged is there");
        }
    }
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
}

type Told = (Vec<(String, Position)>, Vec<String>);

/// Appends until told to stop; answers what was acknowledged and what was refused.
async fn write_until(log: EventLog, stop: Arc<AtomicBool>) -> Told {
    let (mut acknowledged, mut unavailable) = Told::default();
    while !stop.load(Ordering::SeqCst) {
        let append = facts::anything();
        let id = append.command_id.to_string();
        match log.append(append, Lane::Foreground).await {
            Ok(appended) => acknowledged.push((id, appended.first)),
            Err(AppendError::Unavailable { unknown: false, .. }) => {
                unavailable.push(id);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (acknowledged, unavailable)
}
