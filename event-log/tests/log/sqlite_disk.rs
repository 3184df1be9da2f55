//! The disk is full, or fails: nothing is written by halves, and nothing is said to be written that is not.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::appending_process::{AppendingProcess, Word};
use crate::bench::{Bench, append};
use crate::crash::holds;
use crate::facts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_makes_the_log_unavailable_and_loses_nothing() {
    let bench = Bench::sqlite().await;
    let process = AppendingProcess::start_on_a_small_disk(&bench, 1_000);
    let mut words = vec![process.next()];
    while !matches!(words.last(), Some(Word::Unavailable(_))) {
        words.push(process.next());
    }
    words.extend(process.kill9());
    assert!(words.iter().any(|word| matches!(word, Word::Acknowledged(..))));

    let log = bench.log().await;
    holds(&log, &words).await;
    append(&log, facts::anything()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_flush_failed_is_never_said_to_be_unwritten() {
    let bench = Bench::sqlite().await;
    let process = AppendingProcess::start_on_a_disk_that_fails(&bench, 200);
    let mut words = vec![process.next()];
    words.extend(process.until(|word| matches!(word, Word::Unavailable(_))));
    assert!(words.iter().any(|word| matches!(word, Word::Acknowledged(..))));
    // As a file system does that turns read-only by such an error: the commit can't be tried again, and it stands in the WAL.
    process.write_protect();
    let heard = process.during(Duration::from_secs(2));
    assert!(!heard.iter().any(|word| matches!(word, Word::Acknowledged(..))), "{heard:?}");
    words.extend(heard);
    words.extend(process.kill9());

    let log = bench.log().await;
    holds(&log, &words).await;
    append(&log, facts::anything()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_room_that_an_open_reader_cost_is_given_back() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    append(&log, facts::anything()).await;
    let reader = rusqlite::Connection::open(bench.directory().join("log.db")).unwrap();
    reader.execute_batch("begin; select count(*) from events").unwrap();
    let wal = |directory: &Path| directory.join("log.db-wal").metadata().unwrap().len();
    let note = "x".repeat(60_000);
    let write = async || {
        let event = facts::with_payload(&json!({ "note": note }));
        append(&log, facts::of_tenant(uuid::Uuid::now_v7(), &facts::stream(), 0, vec![event])).await;
    };
    while wal(bench.directory()) < 40 * 1024 * 1024 {
        write().await;
    }
    drop(reader);
    // The first checkpoint that gets to the end, and the first batch after it.
    for _ in 0..400 {
        write().await;
    }
    assert!(wal(bench.directory()) <= 33 * 1024 * 1024, "{}", wal(bench.directory()));
}
