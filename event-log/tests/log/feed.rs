//! A feed that reads while others write: nothing skipped, nothing twice, nothing out of order.

use std::time::Duration;

use tenure_event_log::{EventLog, Lane, Position};
use tokio::time::timeout;

use crate::bench::{Bench, append};
use crate::facts;

const WRITERS: u64 = 16;
const APPENDS_PER_WRITER: u64 = 30;

async fn follow(log: EventLog, until: u64) {
    let mut feed = log.feed(Position::START);
    let mut seen = 0;
    while seen < until {
        let events = timeout(Duration::from_secs(20), feed.next(7)).await.expect("the feed goes on").unwrap();
        assert!((1..=7).contains(&events.len()));
        for event in events {
            seen += 1;
            assert_eq!(event.position.get(), seen);
        }
        assert_eq!(feed.position().get(), seen);
    }
}

async fn write(log: EventLog) {
    for _ in 0..APPENDS_PER_WRITER {
        append(&log, facts::anything()).await;
    }
}

async fn write_and_follow(log: &EventLog) {
    let total = WRITERS * APPENDS_PER_WRITER;
    let feeds = [0, 1].map(|_| tokio::spawn(follow(log.clone(), total)));
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(log.clone()))).collect();
    for task in writers.into_iter().chain(feeds) {
        task.await.unwrap();
    }
}

on_both_engines! {
    async fn a_feed_sees_every_event_once_and_in_order(bench: &Bench) {
        write_and_follow(&bench.log().await).await;
    }

    async fn a_transaction_in_flight_elsewhere_hides_nothing(bench: &Bench) {
        let log = bench.log().await;
        let bystander = bench.bystander().await;
        write_and_follow(&log).await;
        bystander.end().await;
    }

    async fn what_is_followed_in_memory_is_what_stands_in_the_log(bench: &Bench) {
        let log = bench.log().await;
        let stream = facts::stream();
        let tenant = uuid::Uuid::now_v7();
        append(&log, facts::of_tenant(tenant, &stream, 0, vec![facts::personal_event()])).await;
        append(&log, facts::of_tenant(tenant, &stream, 1, vec![facts::personal_event(), facts::event()])).await;
        append(&log, facts::anything()).await;
        // A refused append leaves no trace there either.
        log.append(facts::to_stream(&stream, 1), Lane::Foreground).await.unwrap_err();
        let remembered = log.recent(Position::START, 100);
        let stored = log.read(Position::START, 100).await.unwrap();
        assert_eq!(remembered.iter().map(|event| (**event).clone()).collect::<Vec<_>>(), stored);
        assert_eq!(log.recent(Position::new(1), 1).len(), 1);
        assert!(log.recent(stored.last().unwrap().position, 1).is_empty());
    }

    async fn a_feed_wakes_for_a_commit_of_its_own_process(bench: &Bench) {
        let log = bench.log().await;
        let mut feed = log.feed(Position::START);
        let waiting = tokio::spawn(async move { feed.next(10).await.unwrap().len() });
        tokio::time::sleep(Duration::from_millis(30)).await;
        append(&log, facts::anything()).await;
        assert_eq!(timeout(Duration::from_millis(80), waiting).await.expect("before the poll").unwrap(), 1);
        assert_eq!(log.local_head().borrow().get(), 1);
    }

    async fn another_reader_of_the_log_finds_commits_by_looking(bench: &Bench) {
        let log = bench.log().await;
        let other = EventLog::open_read_only(bench.config()).await.unwrap();
        let mut feed = other.feed(Position::START);
        let hurry = other.hurry();
        append(&log, facts::anything()).await;
        assert_eq!(timeout(Duration::from_secs(5), feed.next(10)).await.expect("it looks").unwrap().len(), 1);
        drop(hurry);
        append(&log, facts::anything()).await;
        assert_eq!(timeout(Duration::from_secs(5), feed.next(10)).await.expect("it looks").unwrap().len(), 1);
        let refused = other.append(facts::anything(), Lane::Foreground).await.unwrap_err();
        assert!(matches!(refused, tenure_event_log::AppendError::Unavailable { unknown: false, .. }), "{refused}");
    }
}

/// What another process commits lies in between: memory must not step over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_in_turn_are_followed_without_a_gap() {
    let bench = Bench::postgres().await;
    let (one, other) = (bench.log().await, bench.log().await);
    let follower = tokio::spawn(follow(one.clone(), 60));
    for _ in 0..15 {
        append(&one, facts::anything()).await;
        append(&other, facts::anything()).await;
        append(&other, facts::anything()).await;
        append(&one, facts::anything()).await;
    }
    follower.await.unwrap();
    assert!(one.recent(Position::new(1), 10).is_empty(), "the second one is the other's");
    assert_eq!(one.recent(Position::new(3), 10).len(), 2, "then two of its own, up to the other's next");
}
