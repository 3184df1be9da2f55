//! Several processes append to one PostgreSQL: one order, one set of names, one count of seats.

use tenure_event_log::Position;
use uuid::Uuid;

use crate::appending_process::{AppendingProcess, EVENTS_PER_APPEND, Word};
use crate::bench::{Bench, append, everything};
use crate::crash::holds;
use crate::facts::{self, seats};

const PROCESSES: usize = 2;
const APPENDS_PER_PROCESS: usize = 8 * 12;
const SEATS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_gap_free_order_on_postgres() {
    let bench = Bench::postgres().await;
    let log = bench.log().await;
    let mut opened = facts::anything();
    opened.limits = vec![seats("hall", 0, i64::try_from(SEATS).ok())];
    append(&log, opened).await;

    let follower = tokio::spawn({
        let mut feed = log.feed(Position::START);
        let _hurry = log.hurry();
        async move {
            let mut seen = 0;
            while seen < 1 + SEATS * EVENTS_PER_APPEND {
                for event in feed.next(50).await.unwrap() {
                    seen += 1;
                    assert_eq!(event.position.get(), seen as u64);
                }
            }
        }
    });
    // Both make the first key of the same tenant.
    let tenant_id = Uuid::now_v7();
    let processes: Vec<_> = (0..PROCESSES).map(|_| AppendingProcess::start(&bench, tenant_id, Some(12))).collect();
    let waiting = processes.into_iter().map(|process| tokio::task::spawn_blocking(|| process.finish()));
    let mut words = Vec::new();
    for process in waiting.collect::<Vec<_>>() {
        words.push(process.await.unwrap());
    }
    follower.await.unwrap();

    assert!(words.iter().all(|words| words.iter().any(|word| matches!(word, Word::Acknowledged(..)))), "both wrote");
    let words = words.concat();
    assert_eq!(words.len(), PROCESSES * APPENDS_PER_PROCESS);
    assert_eq!(words.iter().filter(|word| matches!(word, Word::Acknowledged(..))).count(), SEATS);
    assert_eq!(everything(&log).await.len(), 1 + SEATS * EVENTS_PER_APPEND);
    assert_eq!(bench.wrapped_keys("tenant_keys").await.len(), 1);
    holds(&log, &words).await;
}
