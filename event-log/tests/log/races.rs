//! Many at once for what only some can have. Who decides is the log, not the clock.

use std::sync::Arc;

use tenure_event_log::{Append, AppendError, Appended, EventLog, Violation};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bench::{Bench, append, everything};
use crate::facts::{self, at, claim, request, seats};

/// Lets all go at the same moment and sorts the answers.
async fn race(log: &EventLog, appends: Vec<Append>) -> (Vec<Appended>, Vec<Violation>) {
    let start = Arc::new(Barrier::new(appends.len()));
    let mut racing = JoinSet::new();
    for append in appends {
        let (log, start) = (log.clone(), Arc::clone(&start));
        racing.spawn(async move {
            start.wait().await;
            log.append(append, tenure_event_log::Lane::Foreground).await
        });
    }
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    for answer in racing.join_all().await {
        match answer {
            Ok(appended) => winners.push(appended),
            Err(AppendError::Violated(violation)) => losers.push(violation),
            Err(error) => panic!("{error}"),
        }
    }
    (winners, losers)
}

on_both_engines! {
    async fn fifty_race_for_ten_seats(bench: &Bench) {
        let log = bench.log().await;
        let mut opened = facts::anything();
        opened.limits = vec![seats("hall", 0, Some(10))];
        append(&log, opened).await;
        let guests = (0..50).map(|_| {
            let mut guest = facts::anything();
            guest.limits = vec![seats("hall", 1, None)];
            guest
        });
        let (seated, refused) = race(&log, guests.collect()).await;
        assert_eq!(seated.len(), 10);
        assert_eq!(refused, vec![Violation::LimitExceeded { scope: "thing.seats".to_owned() }; 40]);
        assert_eq!(everything(&log).await.len(), 11);
    }

    async fn twenty_race_for_one_name(bench: &Bench) {
        let log = bench.log().await;
        let rivals = (0..20).map(|n| {
            let mut rival = facts::anything();
            rival.claims = vec![claim("acme", &n.to_string())];
            rival
        });
        let (winners, losers) = race(&log, rivals.collect()).await;
        assert_eq!(winners.len(), 1);
        assert_eq!(losers, vec![Violation::ClaimTaken { scope: "thing.code".to_owned() }; 19]);
    }

    async fn twenty_race_for_one_stream(bench: &Bench) {
        let log = bench.log().await;
        let stream = facts::stream();
        let (winners, losers) = race(&log, (0..20).map(|_| facts::to_stream(&stream, 0)).collect()).await;
        assert_eq!(winners.len(), 1);
        assert_eq!(losers, vec![Violation::StreamMoved { stream: stream.clone(), expected: 0 }; 19]);
    }

    async fn one_request_sent_twenty_times_is_answered_once(bench: &Bench) {
        let log = bench.log().await;
        let repeats = (0..20).map(|_| {
            let mut repeat = facts::anything();
            repeat.idempotency = Some(request("once", &repeat));
            repeat
        });
        let (winners, losers) = race(&log, repeats.collect()).await;
        assert_eq!(winners.len(), 1);
        assert_eq!(losers, vec![Violation::RequestRepeated; 19]);
    }

    async fn nobody_registers_in_a_tenant_that_was_just_suspended(bench: &Bench) {
        let log = bench.log().await;
        for _ in 0..5 {
            let tenant = facts::stream();
            append(&log, facts::to_stream(&tenant, 0)).await;
            let mut appends: Vec<Append> = (0..24)
                .map(|_| {
                    let mut registration = facts::anything();
                    registration.unchanged = vec![at(&tenant, 1)];
                    registration
                })
                .collect();
            appends.insert(12, facts::to_stream(&tenant, 1));
            let (winners, losers) = race(&log, appends).await;
            assert_eq!(winners.len() + losers.len(), 25);
            let moved = Violation::GuardMoved { stream: tenant.clone(), expected: 1 };
            assert!(losers.iter().all(|loser| *loser == moved), "{losers:?}");

            let events = everything(&log).await;
            let suspended = events.iter().find(|event| event.stream == tenant && event.sequence == 2).unwrap();
            let last = winners.iter().map(|winner| winner.last).max();
            assert_eq!(last, Some(suspended.position), "the suspension is the last that came through");
        }
    }

    async fn the_first_keys_of_a_tenant_are_made_once(bench: &Bench) {
        let log = bench.log().await;
        let tenant_id = Uuid::now_v7();
        let streams: Vec<_> = (0..12).map(|_| facts::stream()).collect();
        let first = |stream| facts::of_tenant(tenant_id, stream, 0, vec![facts::personal_event()]);
        let appends = streams.iter().map(first);
        let (winners, losers) = race(&log, appends.collect()).await;
        assert_eq!((winners.len(), losers), (12, vec![]));
        assert_eq!(bench.wrapped_keys("tenant_keys").await.len(), 1);
        log.shutdown().await;

        let log = bench.log().await;
        for stream in streams {
            let loaded = log.load::<facts::Thing>(&stream.aggregate_id).await.unwrap();
            assert_eq!(loaded[0].payload["thing.happened"]["people"][0]["name"]["$personal"], facts::NAME);
        }
    }
}
