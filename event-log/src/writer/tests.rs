//! Who shares a batch, and who does not.

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::Member;
use super::collect::{Batch, Lanes};
use super::footprint::Footprint;
use crate::append::{Claim, IdempotencyRecord, LimitChange, StreamVersion};
use crate::engine::{KeyId, Prepared, PreparedStream, StoredKey};
use crate::event::StreamId;

/// Both lanes' senders beside the writer's end. A member is recognized by its command id.
struct Queues {
    foreground: mpsc::Sender<Member>,
    background: mpsc::Sender<Member>,
    lanes: Lanes,
}

fn queues(max_batch: usize) -> Queues {
    let (foreground, foreground_lane) = mpsc::channel(1_000);
    let (background, background_lane) = mpsc::channel(1_000);
    Queues { foreground, background, lanes: Lanes::new(foreground_lane, background_lane, max_batch) }
}

fn enqueue(lane: &mpsc::Sender<Member>, append: &Prepared) {
    let footprint = Footprint::of(append).unwrap();
    lane.try_send(Member { prepared: append.clone(), footprint, reply: oneshot::channel().0 }).unwrap();
}

fn ids<'a>(appends: impl IntoIterator<Item = &'a Prepared>) -> Vec<Uuid> {
    appends.into_iter().map(|append| append.command_id).collect()
}

fn taken(batch: &Batch) -> Vec<Uuid> {
    ids(batch.prepared.iter())
}

fn stream(name: &str) -> StreamId {
    StreamId::new("thing", name)
}

fn to(name: &str) -> Prepared {
    Prepared {
        command_id: Uuid::now_v7(),
        streams: vec![PreparedStream {
            stream: stream(name),
            tenant_id: Uuid::now_v7(),
            expected: 0,
            events: Vec::new(),
        }],
        unchanged: Vec::new(),
        claims: Vec::new(),
        releases: Vec::new(),
        limits: Vec::new(),
        keys: Vec::new(),
        sealed_tenants: Vec::new(),
        erase_tenants: Vec::new(),
        idempotency: None,
    }
}

fn claim(key: &str) -> Claim {
    Claim { scope: "thing.code".to_owned(), key: key.to_owned(), owner: "somebody".to_owned() }
}

fn seats(key: &str) -> LimitChange {
    LimitChange { scope: "thing.seats".to_owned(), key: key.to_owned(), delta: 1, max: None }
}

fn request(key: &str) -> IdempotencyRecord {
    IdempotencyRecord {
        principal: "somebody".to_owned(),
        key: key.to_owned(),
        request_hash: [0; 32],
        stream: stream("x"),
        sequence: 1,
        status: 201,
        expires_at: DateTime::<Utc>::MAX_UTC,
    }
}

fn key(tenant_id: Uuid, id: KeyId) -> StoredKey {
    StoredKey { id, tenant_id, wrapped: Some(vec![1]) }
}

/// Whether two appends that are queued together go together.
fn share_a_batch(first: &Prepared, second: &Prepared) -> bool {
    let mut queues = queues(16);
    enqueue(&queues.foreground, first);
    enqueue(&queues.foreground, second);
    let batch = taken(&queues.lanes.collect());
    assert!(batch.starts_with(&[first.command_id]));
    let together = batch.len() == 2;
    assert_eq!(taken(&queues.lanes.collect()).is_empty(), together, "who was held back goes next");
    together
}

#[test]
fn what_has_nothing_in_common_goes_together() {
    assert!(share_a_batch(&to("a"), &to("b")));
}

#[test]
fn one_stream_is_extended_once_in_a_batch() {
    assert!(!share_a_batch(&to("a"), &to("a")));
}

#[test]
fn a_guard_and_an_append_to_its_stream_go_apart_whichever_comes_first() {
    let guarded = Prepared { unchanged: vec![StreamVersion { stream: stream("a"), sequence: 1 }], ..to("b") };
    assert!(!share_a_batch(&to("a"), &guarded));
    assert!(!share_a_batch(&guarded, &to("a")));
}

#[test]
fn guards_on_one_stream_go_together() {
    let guard = StreamVersion { stream: stream("a"), sequence: 1 };
    let guarded = |name| Prepared { unchanged: vec![guard.clone()], ..to(name) };
    assert!(share_a_batch(&guarded("b"), &guarded("c")));
}

#[test]
fn who_takes_a_name_and_who_gives_it_back_go_apart() {
    let takes = |name| Prepared { claims: vec![claim("acme")], ..to(name) };
    assert!(!share_a_batch(&takes("a"), &takes("b")));
    assert!(!share_a_batch(&takes("a"), &Prepared { releases: vec![claim("acme")], ..to("b") }));
}

#[test]
fn one_counter_is_changed_once_in_a_batch() {
    let counts = |name, key| Prepared { limits: vec![seats(key)], ..to(name) };
    assert!(!share_a_batch(&counts("a", "t"), &counts("b", "t")));
    assert!(share_a_batch(&counts("a", "t"), &counts("b", "u")));
}

#[test]
fn one_request_is_answered_once_in_a_batch() {
    let answers = |name| Prepared { idempotency: Some(request("k")), ..to(name) };
    assert!(!share_a_batch(&answers("a"), &answers("b")));
}

#[test]
fn a_tenant_is_erased_apart_from_what_is_sealed_for_it() {
    let tenant_id = Uuid::now_v7();
    let erases = Prepared { erase_tenants: vec![tenant_id], ..to("a") };
    let sealed = Prepared { keys: vec![key(tenant_id, KeyId::Stream(stream("b")))], ..to("b") };
    let other = Prepared { keys: vec![key(tenant_id, KeyId::Stream(stream("c")))], ..to("c") };
    assert!(!share_a_batch(&erases, &sealed));
    assert!(share_a_batch(&sealed, &other));
}

#[test]
fn who_waits_for_one_that_waits_keeps_its_turn() {
    let mut queues = queues(16);
    let first = to("a");
    let second = Prepared { claims: vec![claim("acme")], ..to("a") };
    let third = Prepared { releases: vec![claim("acme")], ..to("b") };
    for append in [&first, &second, &third] {
        enqueue(&queues.foreground, append);
    }
    assert_eq!(taken(&queues.lanes.collect()), ids([&first]));
    assert_eq!(taken(&queues.lanes.collect()), ids([&second]));
    assert_eq!(taken(&queues.lanes.collect()), ids([&third]));
}

#[test]
fn a_batch_is_no_longer_than_allowed() {
    let mut queues = queues(4);
    let appends: Vec<Prepared> = (0..6).map(|n| to(&n.to_string())).collect();
    for append in &appends {
        enqueue(&queues.foreground, append);
    }
    assert_eq!(taken(&queues.lanes.collect()), ids(&appends[..4]));
    assert_eq!(taken(&queues.lanes.collect()), ids(&appends[4..]));
}

#[test]
fn the_background_gets_a_quarter_of_a_batch_and_no_more() {
    let mut queues = queues(8);
    for n in 0..20 {
        enqueue(&queues.foreground, &to(&format!("f{n}")));
        enqueue(&queues.background, &to(&format!("b{n}")));
    }
    let of_background = |batch: &Batch| {
        let is_background = |append: &&Prepared| append.streams[0].stream.aggregate_id.starts_with('b');
        batch.prepared.iter().filter(is_background).count()
    };
    let busy = queues.lanes.collect();
    assert_eq!((busy.len(), of_background(&busy)), (8, 2));
    while queues.lanes.collect().prepared.iter().any(|append| append.streams[0].stream.aggregate_id.starts_with('f')) {}
    let quiet = queues.lanes.collect();
    assert_eq!((quiet.len(), of_background(&quiet)), (2, 2));
}

#[test]
fn a_crowd_before_one_stream_stays_in_the_bounded_queue() {
    let mut queues = queues(4);
    for _ in 0..100 {
        enqueue(&queues.foreground, &to("a"));
    }
    let mut batches = 0;
    while !queues.lanes.collect().is_empty() {
        batches += 1;
        assert!(queues.foreground.capacity() <= 1_000 - 100 + 5 + batches, "few are looked at ahead of their turn");
    }
    assert_eq!(batches, 100);
}

#[test]
fn what_is_named_twice_is_malformed() {
    let twice = |append: Prepared| Footprint::of(&append).unwrap_err();
    assert_eq!(twice(Prepared { claims: vec![claim("a"), claim("a")], ..to("a") }), "a claim twice");
    assert_eq!(twice(Prepared { releases: vec![claim("a"), claim("a")], ..to("a") }), "a release twice");
    assert_eq!(twice(Prepared { limits: vec![seats("a"), seats("a")], ..to("a") }), "a limit twice");
    let (tenant, streams) = (Uuid::now_v7(), vec![to("a").streams.remove(0); 2]);
    assert_eq!(twice(Prepared { erase_tenants: vec![tenant; 2], ..to("a") }), "a tenant erased twice");
    assert_eq!(twice(Prepared { streams, ..to("a") }), "a stream twice");
    // Handing a name over to another owner is no contradiction.
    assert!(Footprint::of(&Prepared { claims: vec![claim("a")], releases: vec![claim("a")], ..to("a") }).is_ok());
}

#[test]
fn what_no_index_holds_is_malformed() {
    let long = "x".repeat(1_001);
    assert_eq!(Footprint::of(&to(&long)).unwrap_err(), "a stream's name is too long");
    assert_eq!(Footprint::of(&Prepared { claims: vec![claim(&long)], ..to("a") }).unwrap_err(), "a name is too long");
    let beyond = StreamVersion { stream: stream("b"), sequence: u64::MAX };
    assert_eq!(
        Footprint::of(&Prepared { unchanged: vec![beyond], ..to("a") }).unwrap_err(),
        "a sequence is out of range"
    );
}
