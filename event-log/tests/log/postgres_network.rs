//! What happens between the writer and the server when the network, or the server, goes away at a bad moment.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tenure_event_log::{
    Append, AppendError, Clock, EngineConfig, EventLog, IdempotencyRecord, Lane, LogConfig, MasterKey, Violation,
};
use tenure_test_engines::{Fault, Proxy, TestDatabase};

use crate::bench::{append, everything, spawn};
use crate::facts::{self, claim};

/// A log that reaches its server through a proxy, and one that reaches it directly.
struct Network {
    database: TestDatabase,
    proxy: Proxy,
    far: EventLog,
    near: EventLog,
}

const PATIENCE: Duration = Duration::from_millis(400);

async fn network() -> Network {
    let database = TestDatabase::create().await;
    let proxy = Proxy::to(database.url()).await;
    let key = MasterKey::generate();
    let config = |url: &str| LogConfig {
        outage_patience_ms: PATIENCE.as_millis().try_into().unwrap(),
        ..LogConfig::new(engine(url), key.clone(), Clock::default())
    };
    EventLog::migrate(&engine(database.url())).await.unwrap();
    let far = EventLog::open(config(proxy.url())).await.unwrap();
    let near = EventLog::open(config(database.url())).await.unwrap();
    // From here on the writer is connected.
    append(&far, facts::anything()).await;
    Network { database, proxy, far, near }
}

fn engine(url: &str) -> EngineConfig {
    EngineConfig::Postgres { url: url.into(), max_connections: 2 }
}

async fn is_in_the_log(log: &EventLog, append: &Append) -> bool {
    let id = append.command_id.to_string();
    everything(log).await.iter().filter(|event| facts::metadata(event, "command_id") == id).count() == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_a_success() {
    let Network { proxy, far, near, database: _database } = network().await;
    let lost = facts::anything();
    proxy.next(Fault::LoseAnswer);
    let appended = append(&far, lost.clone()).await;
    assert!(is_in_the_log(&near, &lost).await);
    assert_eq!(near.head().await.unwrap(), appended.last);
    assert_eq!(*far.local_head().borrow(), appended.last);
    assert_eq!(proxy.faults(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_never_arrived_is_sent_again() {
    let Network { proxy, far, near, database: _database } = network().await;
    let lost = facts::anything();
    proxy.next(Fault::LoseStatement);
    append(&far, lost.clone()).await;
    assert!(is_in_the_log(&near, &lost).await);
    assert_eq!(everything(&near).await.len(), 2);
    assert_eq!(proxy.faults(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_absent_is_sent_again_when_an_answer_with_an_offender_was_lost() {
    let Network { proxy, far, near, database: _database } = network().await;
    let taken = facts::stream();
    append(&near, facts::to_stream(&taken, 0)).await;
    proxy.next(Fault::LoseAnswer);
    let answer = far.append(facts::to_stream(&taken, 0), Lane::Foreground).await;
    assert!(matches!(answer, Err(AppendError::Violated(Violation::StreamMoved { expected: 0, .. }))), "{answer:?}");
    assert_eq!(everything(&near).await.len(), 2);
}

/// The statement is still on its way when its append has long been refused. By the time it arrives nothing stands against
/// it any more; still it must not be committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_arrives_after_its_answer_is_fenced_off() {
    let Network { proxy, far, near, database: _database } = network().await;
    let holder = facts::stream();
    append(&near, Append { claims: vec![claim("acme", "one")], ..facts::to_stream(&holder, 0) }).await;

    proxy.next(Fault::HoldStatement);
    let late = Append { claims: vec![claim("acme", "two")], ..facts::anything() };
    let answer = far.append(late.clone(), Lane::Foreground).await;
    assert!(matches!(answer, Err(AppendError::Violated(Violation::ClaimTaken { .. }))), "{answer:?}");

    append(&near, Append { releases: vec![claim("acme", "one")], ..facts::to_stream(&holder, 1) }).await;
    let reply = proxy.deliver_held().await;
    assert!(String::from_utf8_lossy(&reply).contains("TN002"), "the server refuses the session");
    assert!(!is_in_the_log(&near, &late).await);
    assert_eq!(near.claim_owner("thing.code", "acme").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_refuses_appends_and_ends_by_itself() {
    let Network { proxy, far, near, database: _database } = network().await;
    proxy.go_down();
    // The first one learns of the outage by losing its answer, so it can't be refused: it waits.
    let unknown = facts::anything();
    let waits = spawn(&far, unknown.clone());
    tokio::time::sleep(PATIENCE * 2).await;
    let refused = far.append(facts::anything(), Lane::Foreground).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { unknown: false, .. })), "{refused:?}");
    far.ping().await.unwrap_err();

    proxy.come_back();
    waits.await.unwrap().unwrap();
    append(&far, facts::anything()).await;
    far.ping().await.unwrap();
    assert!(is_in_the_log(&near, &unknown).await);
    assert_eq!(everything(&near).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_before_it_knows_says_so() {
    let Network { proxy, far, near, database: _database } = network().await;
    proxy.next(Fault::LoseAnswerAndGoDown);
    let committed = facts::anything();
    let waits = spawn(&far, committed.clone());
    tokio::time::sleep(PATIENCE).await;
    far.shutdown().await;
    let answer = waits.await.unwrap();
    assert!(matches!(answer, Err(AppendError::Unavailable { unknown: true, .. })), "{answer:?}");
    assert!(is_in_the_log(&near, &committed).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_clock_is_off_does_not_write() {
    let Network { near, database, .. } = network().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    // For connections made from here on, such as that log's writer's, the server's clock runs 3 s ahead.
    connection
        .execute(
            "create schema ahead;
             create function ahead.clock_timestamp() returns timestamptz language sql as
                 'select pg_catalog.clock_timestamp() + interval ''3 s''';
             do $$ begin
                 execute format('alter database %I set search_path = ahead, public, pg_catalog', current_database());
             end $$",
        )
        .await
        .unwrap();
    let answer = near.append(facts::anything(), Lane::Foreground).await;
    let Err(AppendError::Unavailable { reason, unknown: false }) = answer else { panic!("{answer:?}") };
    assert!(reason.contains("ms off the database's"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_connection_is_no_clock_that_is_off() {
    let database = TestDatabase::create().await;
    let proxy = Proxy::to(database.url()).await;
    EventLog::migrate(&engine(database.url())).await.unwrap();
    let config = LogConfig::new(engine(proxy.url()), MasterKey::generate(), Clock::default());
    let log = EventLog::open(config).await.unwrap();
    // The writer has yet to connect: it takes longer than a clock may be off.
    proxy.slow_down(Duration::from_millis(2_500));
    append(&log, facts::anything()).await;
}

/// A date that `PostgreSQL` can't hold makes it refuse the whole statement, of which only one member is at fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_refuses_fails_alone() {
    let Network { near, database, .. } = network().await;
    let mut stall = PgConnection::connect(database.url()).await.unwrap();
    stall.execute("begin; select from log_head for update").await.unwrap();
    let plug = spawn(&near, facts::anything());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut appends: Vec<Append> = (0..9).map(|_| facts::anything()).collect();
    let record = facts::request("key", &appends[4]);
    appends[4].idempotency = Some(IdempotencyRecord { expires_at: chrono::DateTime::<chrono::Utc>::MIN_UTC, ..record });
    let waiting: Vec<_> = appends.iter().map(|append| spawn(&near, append.clone())).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    stall.close().await.unwrap();

    plug.await.unwrap().unwrap();
    for (n, answer) in waiting.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        assert_eq!(answer.is_ok(), n != 4, "member {n}: {answer:?}");
    }
    assert_eq!(everything(&near).await.len(), 10);
}
