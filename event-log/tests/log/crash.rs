//! A process is killed while it appends: what it had acknowledged is there, and nothing is there by halves.

use std::collections::HashMap;
use std::time::Duration;

use tenure_event_log::{EventLog, RecordedEvent};
use uuid::Uuid;

use crate::appending_process::{AppendingProcess, EVENTS_PER_APPEND, Word};
use crate::bench::{Bench, append, everything};
use crate::facts::{self, NAME};

const ROUNDS: u64 = 4;

/// The log holds whole appends of the process, each with its claim and its keys, and all that were acknowledged.
pub async fn holds(log: &EventLog, words: &[Word]) {
    let events = everything(log).await;
    assert!(events.is_sorted_by_key(|event| event.recorded_at));
    let mut appends: HashMap<String, Vec<&RecordedEvent>> = HashMap::new();
    for event in &events {
        appends.entry(facts::metadata(event, "command_id")).or_default().push(event);
    }
    for word in words {
        match word {
            Word::Acknowledged(id, position) => {
                let found = appends.get(&id.to_string()).expect("an acknowledged append is there");
                assert_eq!(found[0].position.get(), *position);
            }
            Word::Refused(id) | Word::Unavailable(id) => {
                assert!(!appends.contains_key(&id.to_string()), "a refused append is not there");
            }
        }
    }
    for (id, events) in appends {
        if events.len() > 1 {
            assert_eq!(events.len(), EVENTS_PER_APPEND);
            assert_eq!(events[2].position.get() - events[0].position.get(), 2, "its events stand together");
            assert_eq!(log.claim_owner("thing.code", &id).await.unwrap(), Some(id));
        }
    }
    for event in log.open_events(events).await.unwrap() {
        let name = &facts::payload(&event)["thing.happened"]["people"][0]["name"];
        assert!(name.is_null() || *name == serde_json::json!({"$personal": NAME}));
    }
}

on_both_engines! {
    async fn what_was_acknowledged_outlives_a_killed_process(bench: &Bench) {
        let mut words = Vec::new();
        for _ in 0..ROUNDS {
            let process = AppendingProcess::start(bench, Uuid::now_v7(), None);
            words.push(process.next());
            let moment = Uuid::new_v4().as_u128() % 200;
            tokio::time::sleep(Duration::from_millis(moment.try_into().unwrap())).await;
            words.extend(process.kill9());

            let log = bench.log().await;
            holds(&log, &words).await;
            let next = append(&log, facts::anything()).await;
            assert_eq!(log.head().await.unwrap(), next.last, "the log goes on");
            log.shutdown().await;
        }
        assert!(words.iter().all(|word| matches!(word, Word::Acknowledged(..))), "nothing was refused");
    }
}
