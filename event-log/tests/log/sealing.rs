//! What the database knows of people: nothing.

use serde_json::{Value, json};
use tenure_event_log::{EventLog, Lane, MetadataValue, NewEvent, Position, ReadError};
use uuid::Uuid;

use crate::bench::{Bench, append, everything};
use crate::facts::{self, ADDRESS, NAME, Thing};

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Two personal values of one kind and one shape, in one stream.
async fn two_people(log: &EventLog) -> tenure_event_log::StreamId {
    let stream = facts::stream();
    let person = |name: &str| NewEvent {
        metadata: facts::personal_event().metadata,
        ..facts::with_payload(&json!({"thing.happened": {"name": {"$personal": name}, "other": {"$personal": name}}}))
    };
    append(log, facts::of_tenant(Uuid::now_v7(), &stream, 0, vec![person("Ada"), person("Bob")])).await;
    stream
}

fn copy_payload(from: u64, to: u64) -> String {
    let copy = format!("SELECT payload FROM events WHERE position = {from}");
    format!("UPDATE events SET payload = ({copy}) WHERE position = {to}")
}

async fn loading_fails(bench: &Bench, stream: &tenure_event_log::StreamId, at: u64) {
    let log = bench.log().await;
    let failed = log.load::<Thing>(&stream.aggregate_id).await.unwrap_err();
    let ReadError::Corrupt { stream: named, sequence, .. } = &failed else { panic!("{failed}") };
    assert_eq!((named, *sequence), (stream, at));
    let page = log.read(Position::START, 10).await.unwrap();
    assert!(matches!(log.open_events(page).await, Err(ReadError::Corrupt { .. })));
    log.shutdown().await;
}

on_both_engines! {
    async fn personal_values_are_in_no_byte_of_the_database(bench: &Bench) {
        let log = bench.log().await;
        let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
        let mut registered = facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event()]);
        registered.claims = vec![facts::claim(&log.blind("thing.name", NAME), "owner")];
        registered.idempotency = Some(facts::request("once", &registered));
        append(&log, registered).await;
        append(&log, facts::of_tenant(tenant_id, &stream, 1, vec![facts::personal_event()])).await;

        let feed = everything(&log).await;
        assert_eq!(facts::payload(&feed[0])["thing.happened"]["note"], "a note");
        assert!(facts::payload(&feed[0])["thing.happened"]["people"][0]["name"]["$sealed"].is_string());
        assert!(facts::metadata(&feed[0], "source").starts_with("sealed:v1."));
        assert_ne!(feed[0].payload, feed[1].payload, "the same value is sealed differently each time");

        for _ in 0..2 {
            let dump = bench.dump().await;
            assert!(contains(&dump, &stream.aggregate_id), "the dump is one");
            for secret in [NAME, "Zzyzx", ADDRESS] {
                assert!(!contains(&dump, secret), "a personal value lies open");
            }
            log.shutdown().await;
        }
    }

    async fn personal_values_are_opened_for_a_load_and_on_request(bench: &Bench) {
        let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
        let street = json!({"$personal": {"street": ["x", 1, null]}});
        let deep = json!({"thing.happened": {"a/b~c": [1, street], "n": {"$personal": null}}});
        let metadata = [
            ("source".to_owned(), MetadataValue::Personal(ADDRESS.to_owned())),
            ("actor".to_owned(), MetadataValue::Plain("sealed:v1.not really".to_owned())),
        ];
        let event = NewEvent { metadata: metadata.into(), ..facts::with_payload(&deep) };
        let mut log = bench.log().await;
        append(&log, facts::of_tenant(tenant_id, &stream, 0, vec![event, facts::event()])).await;
        for _ in 0..2 {
            let loaded = log.load::<Thing>(&stream.aggregate_id).await.unwrap();
            let opened = log.open_events(everything(&log).await).await.unwrap();
            assert_eq!((&loaded[0].payload, &facts::payload(&opened[0])), (&deep, &deep));
            assert_eq!(loaded[0].metadata["source"], ADDRESS);
            assert_eq!(facts::metadata(&opened[0], "source"), ADDRESS);
            assert_eq!(loaded[0].metadata["actor"], "sealed:v1.not really");
            assert_eq!(loaded[1].payload, facts::said(&facts::event()));
            log.shutdown().await;
            log = bench.log().await;
        }
    }

    async fn what_followed_a_state_at_hand_is_loaded_by_itself_and_opened(bench: &Bench) {
        let log = bench.log().await;
        let (tenant_id, stream, other) = (Uuid::now_v7(), facts::stream(), facts::stream());
        let events = vec![facts::event(), facts::personal_event(), facts::event()];
        append(&log, facts::of_tenant(tenant_id, &stream, 0, events)).await;
        append(&log, facts::of_tenant(tenant_id, &other, 0, vec![facts::event(); 4])).await;

        let all = log.load::<Thing>(&stream.aggregate_id).await.unwrap();
        assert_eq!(all[1].payload["thing.happened"]["people"][0]["name"]["$personal"], NAME);
        for (after, tail) in [(0, &all[..]), (1, &all[1..]), (2, &all[2..]), (3, &[]), (99, &[])] {
            assert_eq!(log.load_after::<Thing>(&stream.aggregate_id, after).await.unwrap(), tail, "after {after}");
        }
        assert_eq!(log.load_after::<Thing>("a\0b", 0).await.unwrap(), []);
        assert_eq!(log.load_after::<Thing>("nothing", 0).await.unwrap(), []);
        log.shutdown().await;
    }

    async fn a_value_moved_to_another_event_does_not_open(bench: &Bench) {
        let log = bench.log().await;
        let stream = two_people(&log).await;
        log.shutdown().await;
        bench.tamper(&copy_payload(1, 2)).await;
        loading_fails(bench, &stream, 2).await;
    }

    async fn a_value_moved_to_another_field_does_not_open(bench: &Bench) {
        let log = bench.log().await;
        let stream = two_people(&log).await;
        let event = everything(&log).await.remove(0);
        log.shutdown().await;
        let field = |name: &str| facts::payload(&event)["thing.happened"][name].clone();
        let swapped = json!({"thing.happened": {"name": field("other"), "other": field("name")}});
        bench.tamper(&format!("UPDATE events SET payload = '{swapped}' WHERE position = 1")).await;
        loading_fails(bench, &stream, 1).await;
    }

    async fn a_metadata_value_moved_to_another_name_does_not_open(bench: &Bench) {
        let log = bench.log().await;
        let stream = two_people(&log).await;
        let sealed = facts::metadata(&everything(&log).await[0], "source");
        log.shutdown().await;
        let moved = json!({"command_id": "x", "actor": sealed});
        bench.tamper(&format!("UPDATE events SET metadata = '{moved}' WHERE position = 1")).await;
        loading_fails(bench, &stream, 1).await;
    }

    async fn a_value_moved_to_another_stream_does_not_open(bench: &Bench) {
        let log = bench.log().await;
        let (one, other) = (two_people(&log).await, two_people(&log).await);
        log.shutdown().await;
        bench.tamper(&copy_payload(1, 3)).await;
        loading_fails(bench, &other, 1).await;
        // Nor with the key that it was sealed with.
        let (from, to) = (&one.aggregate_id, &other.aggregate_id);
        let copy = format!("SELECT tenant_id, wrapped FROM stream_keys WHERE aggregate_id = '{from}'");
        let moved = format!("UPDATE stream_keys SET (tenant_id, wrapped) = ({copy}) WHERE aggregate_id = '{to}'");
        bench.tamper(&moved).await;
        let log = bench.log().await;
        let failed = log.load::<Thing>(to).await.unwrap_err();
        assert!(matches!(failed, ReadError::CorruptLog { .. }), "{failed}");
    }

    async fn an_altered_value_does_not_open(bench: &Bench) {
        let log = bench.log().await;
        let stream = two_people(&log).await;
        let event = everything(&log).await.remove(0);
        log.shutdown().await;
        let payload = facts::payload(&event);
        let sealed = payload["thing.happened"]["name"]["$sealed"].as_str().unwrap();
        let flipped = if sealed.ends_with('A') { "Q" } else { "A" };
        let altered = [
            format!("{}{flipped}", &sealed[..sealed.len() - 1]),
            sealed.replacen("v1.", "v2.", 1),
            "v1.".to_owned(),
            "v1.!".to_owned(),
            String::new(),
        ];
        for altered in altered {
            let payload: Value = json!({"thing.happened": {"name": {"$sealed": altered}}});
            bench.tamper(&format!("UPDATE events SET payload = '{payload}' WHERE position = 1")).await;
            loading_fails(bench, &stream, 1).await;
        }
    }

    async fn a_stream_keeps_its_key_over_restarts_and_refusals(bench: &Bench) {
        let log = bench.log().await;
        let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
        // The key that a refused append brought along must not be used afterwards.
        let mut refused = facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event()]);
        refused.unchanged = vec![facts::at(&facts::stream(), 9)];
        log.append(refused, Lane::Foreground).await.unwrap_err();
        assert_eq!(bench.wrapped_keys("stream_keys").await.len(), 0);
        for n in 0..3 {
            append(&log, facts::of_tenant(tenant_id, &stream, n, vec![facts::personal_event()])).await;
        }
        log.shutdown().await;
        let log = bench.log().await;
        append(&log, facts::of_tenant(tenant_id, &stream, 3, vec![facts::personal_event()])).await;
        assert_eq!(bench.wrapped_keys("stream_keys").await.len(), 1);
        assert_eq!(bench.wrapped_keys("tenant_keys").await.len(), 1);
        let loaded = log.load::<Thing>(&stream.aggregate_id).await.unwrap();
        assert!(loaded.iter().all(|event| event.payload == facts::said(&facts::personal_event())));
    }
}
