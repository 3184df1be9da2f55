//! The memory of answered requests.

use chrono::TimeDelta;
use tenure_event_log::{AppendError, Clock, EventLog, IdempotencyRecord, Lane, LogConfig, Violation};

use crate::bench::{Bench, append};
use crate::facts::{self, request};

on_both_engines! {
    async fn a_record_comes_back_as_it_was_handed_over(bench: &Bench) {
        let log = bench.log().await;
        let mut answered = facts::anything();
        let record = request("once", &answered);
        answered.idempotency = Some(record.clone());
        append(&log, answered).await;
        assert_eq!(log.idempotency(&record.principal, "once").await.unwrap(), Some(record.clone()));
        assert_eq!(log.idempotency(&record.principal, "twice").await.unwrap(), None);
        assert_eq!(log.idempotency("another/subject", "once").await.unwrap(), None);
    }

    async fn the_status_can_be_corrected_before_the_answer_is_given(bench: &Bench) {
        let log = bench.log().await;
        let mut answered = facts::anything();
        let record = request("once", &answered);
        answered.idempotency = Some(record.clone());
        append(&log, answered).await;
        assert!(log.remember_status(&record.principal, "once", 202).await.unwrap());
        let corrected = IdempotencyRecord { status: 202, ..record.clone() };
        assert_eq!(log.idempotency(&record.principal, "once").await.unwrap(), Some(corrected));
        assert!(!log.remember_status(&record.principal, "twice", 202).await.unwrap(), "there is no such record");
    }

    async fn an_expired_record_is_forgotten_and_its_key_used_anew(bench: &Bench) {
        let log = bench.log().await;
        let mut answered = facts::anything();
        let first = request("once", &answered);
        answered.idempotency = Some(first.clone());
        append(&log, answered).await;
        log.shutdown().await;

        let tomorrow = Clock::with_offset(TimeDelta::hours(25));
        let log = EventLog::open(LogConfig { clock: tomorrow, ..bench.config() }).await.unwrap();
        assert_eq!(log.idempotency(&first.principal, "once").await.unwrap(), None);
        let mut again = facts::anything();
        let mut second = request("once", &again);
        second.expires_at += TimeDelta::days(2);
        second.status = 200;
        again.idempotency = Some(second.clone());
        append(&log, again).await;
        assert_eq!(log.idempotency(&first.principal, "once").await.unwrap(), Some(second));
    }

    /// `PostgreSQL` looks for them after every 256 positions, SQLite with each batch.
    async fn expired_records_go_as_others_come(bench: &Bench) {
        let with_record = |key: &str, events: usize| {
            let events = vec![facts::event(); events];
            let mut answered = facts::of_tenant(uuid::Uuid::now_v7(), &facts::stream(), 0, events);
            answered.idempotency = Some(request(key, &answered));
            answered
        };
        let log = bench.log().await;
        for key in ["one", "two", "three"] {
            append(&log, with_record(key, 1)).await;
        }
        log.shutdown().await;
        assert_eq!(bench.requests().await, ["one", "three", "two"]);

        let tomorrow = Clock::with_offset(TimeDelta::hours(25));
        let log = EventLog::open(LogConfig { clock: tomorrow, ..bench.config() }).await.unwrap();
        for key in ["four", "five"] {
            let mut later = with_record(key, 256);
            later.idempotency.as_mut().unwrap().expires_at += TimeDelta::days(2);
            append(&log, later).await;
        }
        log.shutdown().await;
        assert_eq!(bench.requests().await, ["five", "four"]);
    }

    async fn a_record_outlives_a_clock_that_went_back(bench: &Bench) {
        let ahead = Clock::with_offset(TimeDelta::days(40));
        let log = EventLog::open(LogConfig { clock: ahead, ..bench.config() }).await.unwrap();
        append(&log, facts::anything()).await;
        log.shutdown().await;

        let log = bench.log().await;
        let mut answered = facts::anything();
        let record = request("once", &answered);
        answered.idempotency = Some(record.clone());
        append(&log, answered).await;
        let mut another = facts::anything();
        another.idempotency = Some(request("another", &another));
        append(&log, another).await;
        assert_eq!(log.idempotency(&record.principal, "once").await.unwrap(), Some(record.clone()));
        let mut again = facts::anything();
        again.idempotency = Some(IdempotencyRecord { status: 200, ..record });
        let refused = log.append(again, Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Violated(Violation::RequestRepeated))), "{refused:?}");
    }
}
