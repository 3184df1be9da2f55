//! Destroying a tenant's keys erases its people and leaves the history.

use std::time::Duration;

use serde_json::json;
use tenure_event_log::{AppendError, EventLog, Lane, Position, StreamId, Violation};
use uuid::Uuid;

use crate::bench::{Bench, append, everything, spawn};
use crate::facts::{self, NAME, Thing};

async fn registered(log: &EventLog, tenant_id: Uuid) -> StreamId {
    let stream = facts::stream();
    append(log, facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event(), facts::event()])).await;
    stream
}

async fn erase(log: &EventLog, tenant_id: Uuid) {
    let mut deleted = facts::of_tenant(tenant_id, &facts::stream(), 0, vec![facts::event()]);
    deleted.erase_tenants = vec![tenant_id];
    append(log, deleted).await;
}

async fn is_erased(log: &EventLog, stream: &StreamId) -> bool {
    let events = log.load::<Thing>(&stream.aggregate_id).await.unwrap();
    assert_eq!(events[0].payload["thing.happened"]["note"], "a note");
    assert_eq!(events[1].payload, facts::said(&facts::event()));
    let name = &events[0].payload["thing.happened"]["people"][0]["name"];
    let source = events[0].metadata["source"].as_str().unwrap();
    assert!(*name == json!({"$personal": NAME}) || (*name == json!({"$erased": true}) && source == "erased"));
    *name == json!({"$erased": true})
}

on_both_engines! {
    async fn an_erased_tenant_is_unreadable_and_everybody_else_is_not(bench: &Bench) {
        let mut log = bench.log().await;
        let (gone, stays) = (Uuid::now_v7(), Uuid::now_v7());
        let of_gone = [registered(&log, gone).await, registered(&log, gone).await];
        let of_other = registered(&log, stays).await;
        for stream in of_gone.iter().chain([&of_other]) {
            assert!(!is_erased(&log, stream).await);
        }
        let before = everything(&log).await;
        erase(&log, gone).await;
        for _ in 0..2 {
            for stream in &of_gone {
                assert!(is_erased(&log, stream).await);
            }
            assert!(!is_erased(&log, &of_other).await);
            let after = everything(&log).await;
            assert_eq!(after[..before.len()], before, "no event has changed");
            let opened = log.open_events(after).await.unwrap();
            assert_eq!(facts::metadata(&opened[0], "source"), "erased");
            assert_eq!(facts::payload(&opened[4]), facts::said(&facts::personal_event()));
            log.shutdown().await;
            log = bench.log().await;
        }
        assert_eq!(bench.wrapped_keys("tenant_keys").await.len(), 1);
        assert_eq!(bench.wrapped_keys("stream_keys").await.len(), 1);
    }

    async fn no_byte_of_a_destroyed_key_is_left(bench: &Bench) {
        let log = bench.log().await;
        let tenant_id = Uuid::now_v7();
        registered(&log, tenant_id).await;
        let keys = [bench.wrapped_keys("tenant_keys").await, bench.wrapped_keys("stream_keys").await].concat();
        assert_eq!(keys.len(), 2);
        erase(&log, tenant_id).await;
        // The log empties what SQLite keeps beside the file before it takes the next append.
        append(&log, facts::anything()).await;
        let dump = bench.dump().await;
        for key in keys {
            // As PostgreSQL shows bytes.
            let hex = key.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            for shape in [key.as_slice(), hex.as_bytes()] {
                assert!(!dump.windows(shape.len()).any(|window| window == shape), "a destroyed key is still there");
            }
        }
    }

    async fn the_append_that_erases_may_hold_something_personal(bench: &Bench) {
        let log = bench.log().await;
        for had_keys in [true, false] {
            let tenant_id = Uuid::now_v7();
            if had_keys {
                registered(&log, tenant_id).await;
            }
            let stream = facts::stream();
            let mut deleted = facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event(), facts::event()]);
            deleted.erase_tenants = vec![tenant_id];
            append(&log, deleted).await;
            assert!(is_erased(&log, &stream).await);
        }
    }

    async fn a_tenant_that_never_had_a_key_gets_none_after_its_erasure(bench: &Bench) {
        let log = bench.log().await;
        let tenant_id = Uuid::now_v7();
        erase(&log, tenant_id).await;
        let own = StreamId::new("thing", tenant_id.to_string());
        for stream in [own, facts::stream()] {
            let personal = facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event()]);
            let refused = log.append(personal, Lane::Foreground).await.unwrap_err();
            assert_eq!(refused.to_string(), format!("the keys of tenant {tenant_id} were destroyed"));
        }
        assert_eq!(bench.wrapped_keys("tenant_keys").await.len(), 0);
    }

    async fn an_instance_that_hears_of_an_erasure_forgets_the_keys(bench: &Bench) {
        let log = bench.log().await;
        let tenant_id = Uuid::now_v7();
        let stream = registered(&log, tenant_id).await;
        let other = EventLog::open_read_only(bench.config()).await.unwrap();
        assert!(!is_erased(&other, &stream).await);
        erase(&log, tenant_id).await;
        other.forget_keys(tenant_id);
        assert!(is_erased(&other, &stream).await);
        let page = other.read(Position::START, 1).await.unwrap();
        assert_eq!(facts::metadata(&other.open_events(page).await.unwrap()[0], "source"), "erased");
    }

    async fn a_tenant_s_own_stream_may_begin_after_its_key(bench: &Bench) {
        let log = bench.log().await;
        let tenant_id = Uuid::now_v7();
        registered(&log, tenant_id).await;
        log.shutdown().await;
        let log = bench.log().await;
        let own = StreamId::new("thing", tenant_id.to_string());
        append(&log, facts::of_tenant(tenant_id, &own, 0, vec![facts::personal_event(), facts::event()])).await;
        assert!(!is_erased(&log, &own).await);
        assert_eq!(bench.wrapped_keys("tenant_keys").await.len(), 1);
    }

    async fn what_was_sealed_before_an_erasure_is_refused_after_it(bench: &Bench) {
        let log = bench.log().await;
        let tenant_id = Uuid::now_v7();
        let stream = registered(&log, tenant_id).await;
        let pause = || tokio::time::sleep(Duration::from_millis(100));
        let stall = bench.stall().await;
        let plug = spawn(&log, facts::anything());
        pause().await;
        let mut deleted = facts::of_tenant(tenant_id, &facts::stream(), 0, vec![facts::event()]);
        deleted.erase_tenants = vec![tenant_id];
        let deleted = spawn(&log, deleted);
        pause().await;
        // With the stream's key, which is there already.
        let late = spawn(&log, facts::of_tenant(tenant_id, &stream, 2, vec![facts::personal_event()]));
        pause().await;
        stall.end().await;
        plug.await.unwrap().unwrap();
        deleted.await.unwrap().unwrap();
        let refused = late.await.unwrap();
        let destroyed = matches!(
            refused,
            Err(AppendError::Violated(Violation::KeyDestroyed { tenant_id: of })) if of == tenant_id
        );
        assert!(destroyed, "{refused:?}");
        // What holds nothing personal may still follow, and so may an append that erases once more.
        append(&log, facts::of_tenant(tenant_id, &stream, 2, vec![facts::event()])).await;
        erase(&log, tenant_id).await;
    }
}

/// The keys that an append brought must not be cached when they were destroyed before its answer came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_forgotten_while_they_were_committed_stay_forgotten_on_postgres() {
    let bench = Bench::postgres().await;
    let log = bench.log().await;
    let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
    let stall = bench.stall().await;
    let waits = spawn(&log, facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event(), facts::event()]));
    tokio::time::sleep(Duration::from_millis(200)).await;
    log.forget_keys(tenant_id);
    stall.end().await;
    waits.await.unwrap().unwrap();
    bench.tamper("UPDATE stream_keys SET wrapped = NULL").await;
    bench.tamper("UPDATE tenant_keys SET wrapped = NULL").await;
    assert!(is_erased(&log, &stream).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_has_not_heard_of_an_erasure_seals_nothing_on_postgres() {
    let bench = Bench::postgres().await;
    let (log, other) = (bench.log().await, bench.log().await);
    let tenant_id = Uuid::now_v7();
    let stream = registered(&log, tenant_id).await;
    assert!(!is_erased(&other, &stream).await);
    erase(&log, tenant_id).await;
    for _ in 0..2 {
        let late = facts::of_tenant(tenant_id, &stream, 2, vec![facts::personal_event()]);
        let refused = other.append(late, Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Violated(Violation::KeyDestroyed { .. }))), "{refused:?}");
    }
    assert!(is_erased(&other, &stream).await, "it has heard of it now");
}
