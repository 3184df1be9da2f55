//! The disk is full: nothing is written by halves, and nothing is said to be written that is not.

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
