//! One total order: positions 1, 2, 3 ..., times that never fall, streams in sequence.

use std::collections::HashMap;

use chrono::TimeDelta;
use tenure_event_log::{
    AppendError, Appended, Clock, EventLog, Json, Lane, Position, RecordedEvent, StreamId, Violation,
};
use uuid::Uuid;

use crate::bench::{Bench, append, everything};
use crate::facts;

const WRITERS: u64 = 64;
const APPENDS_PER_WRITER: u64 = 12;

/// Each writer extends a stream of its own and one that all fight for; a third of the appends is doomed.
async fn write_much(log: EventLog, writer: u64, contested: StreamId) -> Vec<(Uuid, Appended)> {
    let own = facts::stream();
    let mut done = Vec::new();
    for n in 0..APPENDS_PER_WRITER {
        let mut append = facts::of_tenant(Uuid::now_v7(), &own, done.len() as u64 * 2, vec![facts::event(); 2]);
        if n % 3 == writer % 3 {
            append.streams.push(facts::extend(Uuid::now_v7(), &contested, n, vec![facts::event()]));
        }
        let command_id = append.command_id;
        match log.append(append, Lane::Foreground).await {
            Ok(appended) => done.push((command_id, appended)),
            Err(AppendError::Violated(Violation::StreamMoved { stream, .. })) => assert_eq!(stream, contested),
            Err(error) => panic!("{error}"),
        }
    }
    done
}

on_both_engines! {
    async fn positions_have_no_gap_under_64_writers(bench: &Bench) {
        let log = bench.log().await;
        let contested = facts::stream();
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write_much(log.clone(), writer, contested.clone()))).collect();
        let mut answered = Vec::new();
        for writer in writers {
            answered.extend(writer.await.unwrap());
        }

        let events = everything(&log).await;
        assert_eq!(log.head().await.unwrap(), events.last().unwrap().position);
        assert!(events.is_sorted_by_key(|event| event.recorded_at), "recorded_at never falls");

        let mut ends: HashMap<StreamId, u64> = HashMap::new();
        for event in &events {
            let end = ends.entry(event.stream.clone()).or_default();
            *end += 1;
            assert_eq!(event.sequence, *end, "sequences 1, 2, 3 ... in each stream");
        }

        let mut places: HashMap<String, (Vec<u64>, Appended)> = HashMap::new();
        for (command_id, appended) in answered {
            places.insert(command_id.to_string(), (Vec::new(), appended));
        }
        for event in events {
            let (positions, appended) = places.get_mut(&facts::metadata(&event, "command_id")).expect("an answered command");
            positions.push(event.position.get());
            assert_eq!(event.recorded_at, appended.recorded_at);
        }
        for (positions, appended) in places.into_values() {
            let told: Vec<u64> = (appended.first.get()..=appended.last.get()).collect();
            assert_eq!(positions, told, "one append's events stand together, where the answer said");
        }
    }

    async fn recorded_at_does_not_fall_when_the_clock_does(bench: &Bench) {
        let ahead = Clock::with_offset(TimeDelta::hours(1));
        let log = EventLog::open(tenure_event_log::LogConfig { clock: ahead, ..bench.config() }).await.unwrap();
        let before = append(&log, facts::anything()).await;
        log.shutdown().await;

        let log = bench.log().await;
        let after = append(&log, facts::anything()).await;
        assert_eq!(after.recorded_at, before.recorded_at);
        assert_eq!(after.first, before.last.next());
    }

    async fn events_come_back_as_they_were_handed_over(bench: &Bench) {
        let log = bench.log().await;
        let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
        let payload = serde_json::json!({"thing.happened": {
            "text": "ä \u{1F980} \"quoted\" \\ \u{7f}", "n": -0.5, "big": u64::MAX, "none": null, "list": [[], {}, true],
        }});
        let append_ = facts::of_tenant(tenant_id, &stream, 0, vec![facts::with_payload(&payload)]);
        let command_id = append_.command_id;
        let appended = append(&log, append_).await;

        let events = everything(&log).await;
        let [event] = events.as_slice() else { panic!("one event") };
        assert_eq!(event.position, appended.first);
        assert_eq!((&event.stream, event.sequence, event.tenant_id), (&stream, 1, tenant_id));
        assert_eq!((&*event.event_type, &*event.event_version), ("thing.happened", "1"));
        assert_eq!(facts::payload(event), payload);
        assert_eq!(facts::metadata(event, "actor"), "somebody");
        assert_eq!(facts::metadata(event, "command_id"), command_id.to_string());
        assert_eq!(event.recorded_at, appended.recorded_at);

        let loaded = log.load::<facts::Thing>(&stream.aggregate_id).await.unwrap();
        let [loaded] = loaded.as_slice() else { panic!("one event") };
        assert_eq!((loaded.sequence, &loaded.payload), (1, &payload));
        assert_eq!((loaded.aggregate_type.as_str(), &loaded.aggregate_id), ("thing", &stream.aggregate_id));
        assert_eq!(loaded.metadata["command_id"], command_id.to_string());
    }

    async fn a_page_of_payloads_lacks_nothing_but_metadata(bench: &Bench) {
        let log = bench.log().await;
        for _ in 0..5 {
            append(&log, facts::anything()).await;
        }
        let start = Position::START.next();
        let whole = log.read(start, 3).await.unwrap();
        let payloads = log.read_payloads(start, 3).await.unwrap();
        assert!(whole.iter().all(|event| event.metadata.text() != "{}"));
        let bare = |event: RecordedEvent| RecordedEvent { metadata: Json::new("{}").unwrap(), ..event };
        assert_eq!(payloads, whole.into_iter().map(bare).collect::<Vec<_>>());
    }

    async fn a_tenant_s_events_are_read_in_pages_of_their_own(bench: &Bench) {
        let log = bench.log().await;
        let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
        let mut own = Vec::new();
        for n in 0..5 {
            append(&log, facts::anything()).await;
            own.push(append(&log, facts::of_tenant(tenant_id, &stream, n, vec![facts::event()])).await.first);
        }
        let mut read = Vec::new();
        loop {
            let after = read.last().copied().unwrap_or_default();
            let page = log.read_tenant(tenant_id, after, 2).await.unwrap();
            if page.is_empty() {
                break;
            }
            read.extend(page.iter().map(|event| event.position));
        }
        assert_eq!(read, own);
    }
}
