//! Who may wait, and who goes first.

use std::time::Duration;

use tenure_event_log::{Append, AppendError, EventLog, Lane, LogConfig};
use tokio::task::JoinHandle;

use crate::bench::{Bench, append, everything};
use crate::facts;

type Answer = JoinHandle<Result<tenure_event_log::Appended, AppendError>>;

fn send(log: &EventLog, append: Append, lane: Lane) -> Answer {
    let log = log.clone();
    tokio::spawn(async move { log.append(append, lane).await })
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

on_both_engines! {
    async fn a_full_queue_refuses_and_writes_nothing_of_what_it_refused(bench: &Bench) {
        let log = EventLog::open(LogConfig { queue_capacity: 5, ..bench.config() }).await.unwrap();
        let stall = bench.stall().await;
        let plug = send(&log, facts::anything(), Lane::Foreground);
        settle().await;
        let waiting: Vec<Answer> = (0..5).map(|_| send(&log, facts::anything(), Lane::Foreground)).collect();
        settle().await;
        let refused = log.append(facts::anything(), Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Overloaded)), "{refused:?}");
        let background = send(&log, facts::anything(), Lane::Background);
        settle().await;
        assert!(!background.is_finished(), "the other lane has room of its own");
        stall.end().await;
        for answer in waiting.into_iter().chain([plug, background]) {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(everything(&log).await.len(), 7);
        append(&log, facts::anything()).await;
    }

    async fn who_waits_for_an_answer_is_not_behind_an_import(bench: &Bench) {
        let log = EventLog::open(LogConfig { max_batch: 8, ..bench.config() }).await.unwrap();
        let stall = bench.stall().await;
        let plug = send(&log, facts::anything(), Lane::Foreground);
        settle().await;
        let import: Vec<Answer> = (0..200).map(|_| send(&log, facts::anything(), Lane::Background)).collect();
        settle().await;
        let people: Vec<Answer> = (0..60).map(|_| send(&log, facts::anything(), Lane::Foreground)).collect();
        settle().await;
        stall.end().await;

        let mut last = plug.await.unwrap().unwrap().last;
        for answer in people {
            last = last.max(answer.await.unwrap().unwrap().last);
        }
        // 60 in batches of 8, of which 2 places are the import's: ten batches.
        assert!(last.get() <= 1 + 80, "the people's last append stands at {last}");
        for answer in import {
            answer.await.unwrap().unwrap();
        }
        assert_eq!(everything(&log).await.len(), 261);
    }

    async fn what_was_accepted_is_committed_before_the_log_stops(bench: &Bench) {
        let log = bench.log().await;
        let stall = bench.stall().await;
        let accepted: Vec<Answer> = (0..30).map(|_| send(&log, facts::anything(), Lane::Foreground)).collect();
        settle().await;
        let stopping = tokio::spawn({ let log = log.clone(); async move { log.shutdown().await } });
        settle().await;
        let late = send(&log, facts::anything(), Lane::Foreground);
        settle().await;
        stall.end().await;
        for answer in accepted {
            answer.await.unwrap().unwrap();
        }
        stopping.await.unwrap();
        let late = match late.await.unwrap() {
            Ok(_) => 1,
            Err(AppendError::Unavailable { unknown: false, .. }) => 0,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(everything(&bench.log().await).await.len(), 30 + late);
        let refused = log.append(facts::anything(), Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Unavailable { unknown: false, .. })), "{refused:?}");
    }

    async fn who_hangs_up_drops_nothing(bench: &Bench) {
        let log = bench.log().await;
        let stall = bench.stall().await;
        let impatient = tokio::time::timeout(
            Duration::from_millis(50),
            log.append(facts::anything(), Lane::Foreground),
        );
        assert!(impatient.await.is_err(), "it waits for the stall");
        stall.end().await;
        append(&log, facts::anything()).await;
        assert_eq!(everything(&log).await.len(), 2);
    }
}
