//! Appends that no engine ever sees, because their form is wrong.

use serde_json::{Value, json};
use tenure_event_log::{Append, AppendError, Claim, Lane, MetadataValue, NewEvent, Position, StreamId};
use uuid::Uuid;

use crate::bench::{Bench, append};
use crate::facts::{self, at, claim, request, seats};

fn with(change: impl FnOnce(&mut Append)) -> Append {
    let mut append = facts::anything();
    change(&mut append);
    append
}

fn holding(payload: &Value) -> Append {
    facts::of_tenant(Uuid::now_v7(), &facts::stream(), 0, vec![facts::with_payload(payload)])
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!(1), |inner, _| json!([inner]))
}

fn with_metadata(name: &str, value: MetadataValue) -> Append {
    with(|append| drop(append.streams[0].events[0].metadata.insert(name.to_owned(), value)))
}

fn malformed() -> Vec<(&'static str, Append)> {
    let nul = "a\0b";
    let plain = |text: &str| MetadataValue::Plain(text.to_owned());
    vec![
        ("no stream", with(|append| append.streams.clear())),
        ("no event", with(|append| append.streams[0].events.clear())),
        ("a stream twice", with(|append| append.streams.push(append.streams[0].clone()))),
        ("a guard twice", with(|append| append.unchanged = vec![at(&append.streams[0].stream, 0); 2])),
        ("a claim twice", with(|append| append.claims = vec![claim("acme", "one"), claim("acme", "two")])),
        ("a release twice", with(|append| append.releases = vec![claim("acme", "one"); 2])),
        ("a limit twice", with(|append| append.limits = vec![seats("hall", 1, Some(5)); 2])),
        ("a tenant erased twice", with(|append| append.erase_tenants = vec![Uuid::nil(); 2])),
        ("a sequence out of range", with(|append| append.streams[0].expected = u64::MAX)),
        ("a guard out of range", with(|append| append.unchanged = vec![at(&facts::stream(), u64::MAX)])),
        ("U+0000 in a payload", holding(&json!({"e": {"note": [nul]}}))),
        ("U+0000 in a field's name", holding(&json!({"e": {nul: 1}}))),
        ("U+0000 in a personal value", holding(&json!({"e": {"$personal": nul}}))),
        ("U+0000 in metadata", with_metadata("actor", plain(nul))),
        ("U+0000 in personal metadata", with_metadata("actor", MetadataValue::Personal(nul.to_owned()))),
        ("U+0000 in a metadata name", with_metadata(nul, plain("x"))),
        ("U+0000 in a stream", with(|append| append.streams[0].stream = StreamId::new("thing", nul))),
        ("U+0000 in an event type", with(|append| append.streams[0].events[0].event_type = nul.into())),
        ("U+0000 in a claim", with(|append| append.claims = vec![claim(nul, "one")])),
        ("U+0000 in an owner", with(|append| append.claims = vec![claim("acme", nul)])),
        ("U+0000 in a limit", with(|append| append.limits = vec![seats(nul, 1, Some(1))])),
        ("U+0000 in a request", with(|append| append.idempotency = Some(request(nul, append)))),
        ("a claim too long", with(|append| append.claims = vec![Claim { key: "k".repeat(5_000), ..claim("", "one") }])),
        ("a request too long", with(|append| append.idempotency = Some(request(&"k".repeat(5_000), append)))),
        ("command_id given", with_metadata("command_id", plain("mine"))),
        ("a forged seal", holding(&json!({"e": {"$sealed": "v1.AAAA"}}))),
        ("a forged erasure", holding(&json!({"e": [{"$erased": true}]}))),
        ("a marked object with more in it", holding(&json!({"e": {"$personal": 1, "more": 2}}))),
        ("a deep payload", holding(&nested(101))),
    ]
}

on_both_engines! {
    async fn what_is_malformed_is_refused_before_anything_is_written(bench: &Bench) {
        let log = bench.log().await;
        for (what, append) in malformed() {
            let answer = log.append(append, Lane::Foreground).await;
            assert!(matches!(answer, Err(AppendError::Malformed(_))), "{what}: {answer:?}");
        }
        assert_eq!(log.head().await.unwrap(), Position::START);
    }

    async fn what_is_only_unusual_is_taken(bench: &Bench) {
        let log = bench.log().await;
        let stream = facts::stream();
        let marked = ["sealed:v1.AAAA", "plain:x", "erased", "", "\u{1}\u{7f}'; drop table events; --"];
        let metadata = marked.iter().map(|text| ((*text).to_owned(), MetadataValue::Plain((*text).to_owned())));
        let unusual = NewEvent { metadata: metadata.collect(), ..facts::with_payload(&nested(100)) };
        append(&log, facts::of_tenant(Uuid::now_v7(), &stream, 0, vec![unusual])).await;
        let loaded = log.load::<facts::Thing>(&stream.aggregate_id).await.unwrap();
        assert_eq!(loaded[0].payload, nested(100));
        for text in marked {
            assert_eq!(loaded[0].metadata[text], text);
        }
        assert_eq!(log.load::<facts::Thing>("a\0b").await.unwrap(), []);
        assert_eq!(log.claim_owner("a\0b", "c").await.unwrap(), None);
    }
}
