//! Each rule keeps out the append that breaks it, names itself, and lets the rest of the batch through.

use tenure_event_log::{Append, AppendError, EventLog, Lane, Violation};
use uuid::Uuid;

use crate::bench::{Bench, append, everything};
use crate::facts::{self, at, claim, request, seats};

/// An append that brings something of every kind, and what it needs to stand there before.
struct Companion {
    append: Append,
    erased: Uuid,
    name: String,
}

impl Companion {
    async fn prepared(log: &EventLog) -> Self {
        let (tenant_id, erased, name) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7().to_string());
        let former = format!("former {name}");
        let mut before = facts::of_tenant(erased, &facts::stream(), 0, vec![facts::personal_event()]);
        before.claims = vec![claim(&former, &name)];
        self::append(log, before).await;
        let mut append =
            facts::of_tenant(tenant_id, &facts::stream(), 0, vec![facts::event(), facts::personal_event()]);
        append.unchanged = vec![at(&facts::stream(), 0)];
        append.claims = vec![claim(&name, &name)];
        append.releases = vec![claim(&former, &name)];
        append.limits = vec![seats(&name, 1, Some(1))];
        append.erase_tenants = vec![erased];
        append.idempotency = Some(request(&name, &append));
        Self { append, erased, name }
    }

    async fn assert_written(self, log: &EventLog) {
        let Self { append, erased, name } = self;
        let events = log.load::<facts::Thing>(&append.streams[0].stream.aggregate_id).await.unwrap();
        let [_, personal] = events.as_slice() else { panic!("both events, in order: {events:?}") };
        assert_eq!(personal.payload["thing.happened"]["people"][0]["name"]["$personal"], facts::NAME);
        assert_eq!(log.claim_owner("thing.code", &name).await.unwrap().as_ref(), Some(&name));
        assert_eq!(log.claim_owner("thing.code", &format!("former {name}")).await.unwrap(), None);
        assert_eq!(log.idempotency("tenant/subject", &name).await.unwrap(), append.idempotency);
        let mut one_more = facts::anything();
        one_more.limits = vec![seats(&name, 1, None)];
        let refused = log.append(one_more, Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Violated(Violation::LimitExceeded { .. }))), "{refused:?}");
        let too_late = facts::of_tenant(erased, &facts::stream(), 0, vec![facts::personal_event()]);
        let refused = log.append(too_late, Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Violated(Violation::KeyDestroyed { .. }))), "{refused:?}");
    }
}

/// Commits the offender between two appends that break no rule, all three in one batch.
async fn in_company(bench: &Bench, log: &EventLog, offender: Append) -> Violation {
    let own = offender.streams[0].clone();
    let (first, last) = (Companion::prepared(log).await, Companion::prepared(log).await);
    let before = everything(log).await.len();
    let answers = bench.in_one_batch(log, vec![first.append.clone(), offender, last.append.clone()]).await;
    let [Ok(_), Err(AppendError::Violated(violation)), Ok(_)] = answers.as_slice() else {
        panic!("only the second was to be refused: {answers:?}")
    };
    let events = everything(log).await;
    assert_eq!(events.len(), before + 5, "the plug's, and two each of two of the three");
    let own_events = events.iter().filter(|event| event.stream == own.stream).count() as u64;
    assert!(
        own_events <= own.expected || matches!(violation, Violation::StreamMoved { .. }),
        "nothing of it is written"
    );
    first.assert_written(log).await;
    last.assert_written(log).await;
    violation.clone()
}

on_both_engines! {
    async fn a_stream_that_has_moved(bench: &Bench) {
        let log = bench.log().await;
        let stream = facts::stream();
        append(&log, facts::to_stream(&stream, 0)).await;
        for expected in [0, 2] {
            let violation = in_company(bench, &log, facts::to_stream(&stream, expected)).await;
            assert_eq!(violation, Violation::StreamMoved { stream: stream.clone(), expected });
        }
    }

    async fn a_guard_that_has_moved(bench: &Bench) {
        let log = bench.log().await;
        let (guard, absent) = (facts::stream(), facts::stream());
        append(&log, facts::to_stream(&guard, 0)).await;
        append(&log, facts::to_stream(&guard, 1)).await;
        for (stream, expected) in [(&guard, 1), (&guard, 3), (&guard, 0), (&absent, 1)] {
            let mut offender = facts::anything();
            offender.unchanged = vec![at(stream, expected), at(&facts::stream(), 0)];
            let violation = in_company(bench, &log, offender).await;
            assert_eq!(violation, Violation::GuardMoved { stream: stream.clone(), expected });
        }
        let mut unmoved = facts::anything();
        unmoved.unchanged = vec![at(&guard, 2), at(&absent, 0)];
        append(&log, unmoved).await;
    }

    async fn a_claim_that_is_taken(bench: &Bench) {
        let log = bench.log().await;
        let mut first = facts::anything();
        first.claims = vec![claim("acme", "first")];
        append(&log, first).await;
        let mut offender = facts::anything();
        offender.claims = vec![claim("free", "second"), claim("acme", "second")];
        let violation = in_company(bench, &log, offender).await;
        assert_eq!(violation, Violation::ClaimTaken { scope: "thing.code".to_owned() });
        assert_eq!(log.claim_owner("thing.code", "free").await.unwrap(), None);
        assert_eq!(log.claim_owner("thing.code", "acme").await.unwrap().as_deref(), Some("first"));
    }

    async fn a_claim_that_is_not_held(bench: &Bench) {
        let log = bench.log().await;
        let mut first = facts::anything();
        first.claims = vec![claim("acme", "first"), claim("beta", "second")];
        append(&log, first).await;
        for (key, owner) in [("acme", "second"), ("nobody-s", "second")] {
            let mut offender = facts::anything();
            offender.releases = vec![claim("beta", "second"), claim(key, owner)];
            let violation = in_company(bench, &log, offender).await;
            assert_eq!(violation, Violation::ClaimNotHeld { scope: "thing.code".to_owned() });
        }
        assert_eq!(log.claim_owner("thing.code", "beta").await.unwrap().as_deref(), Some("second"));
    }

    async fn a_limit_that_would_be_exceeded(bench: &Bench) {
        let log = bench.log().await;
        let mut first = facts::anything();
        first.limits = vec![seats("hall", 3, Some(4)), seats("lobby", 0, Some(0))];
        append(&log, first).await;
        for change in [
            seats("hall", 2, None),
            seats("hall", -4, None),
            seats("hall", 0, Some(2)),
            seats("hall", i64::MAX, None),
            seats("lobby", 1, None),
            seats("absent", 1, None),
            seats("absent", -1, Some(5)),
        ] {
            let mut offender = facts::anything();
            offender.limits = vec![change.clone()];
            let violation = in_company(bench, &log, offender).await;
            assert_eq!(violation, Violation::LimitExceeded { scope: "thing.seats".to_owned() }, "{change:?}");
        }
        let mut last_seat = facts::anything();
        last_seat.limits = vec![seats("hall", 1, None), seats("absent", 1, Some(1))];
        append(&log, last_seat).await;
    }

    async fn a_request_that_was_answered(bench: &Bench) {
        let log = bench.log().await;
        let mut first = facts::anything();
        first.idempotency = Some(request("once", &first));
        append(&log, first).await;
        let mut repeated = facts::anything();
        repeated.idempotency = Some(request("once", &repeated));
        // What else is wrong with it does not matter: its answer is the first one's.
        repeated.claims = vec![claim("acme", "second")];
        repeated.unchanged = vec![at(&facts::stream(), 5)];
        assert_eq!(in_company(bench, &log, repeated).await, Violation::RequestRepeated);
        assert_eq!(log.claim_owner("thing.code", "acme").await.unwrap(), None);
    }

    async fn personal_data_of_a_tenant_whose_keys_are_destroyed(bench: &Bench) {
        let log = bench.log().await;
        let (tenant_id, stream) = (Uuid::now_v7(), facts::stream());
        append(&log, facts::of_tenant(tenant_id, &stream, 0, vec![facts::personal_event()])).await;
        let mut deleted = facts::of_tenant(tenant_id, &stream, 1, vec![facts::event()]);
        deleted.erase_tenants = vec![tenant_id];
        append(&log, deleted).await;
        for stream in [stream, facts::stream()] {
            let expected = log.load::<facts::Thing>(&stream.aggregate_id).await.unwrap().len() as u64;
            let offender = facts::of_tenant(tenant_id, &stream, expected, vec![facts::personal_event()]);
            assert_eq!(in_company(bench, &log, offender).await, Violation::KeyDestroyed { tenant_id });
            append(&log, facts::of_tenant(tenant_id, &stream, expected, vec![facts::event()])).await;
        }
    }

    async fn one_wrong_stream_of_several_keeps_out_all(bench: &Bench) {
        let log = bench.log().await;
        let (one, two, three) = (facts::stream(), facts::stream(), facts::stream());
        append(&log, facts::to_stream(&three, 0)).await;
        let mut several = facts::to_stream(&one, 0);
        several.streams.push(facts::extend(Uuid::now_v7(), &two, 0, vec![facts::event(); 3]));
        several.streams.push(facts::extend(Uuid::now_v7(), &three, 0, vec![facts::event()]));
        several.claims = vec![claim("acme", "one")];
        several.limits = vec![seats("hall", 1, Some(1))];
        several.idempotency = Some(request("once", &several));
        let violation = in_company(bench, &log, several.clone()).await;
        assert_eq!(violation, Violation::StreamMoved { stream: three.clone(), expected: 0 });
        for absent in [&one, &two] {
            assert_eq!(log.load::<facts::Thing>(&absent.aggregate_id).await.unwrap(), []);
        }
        assert_eq!(log.idempotency("tenant/subject", "once").await.unwrap(), None);

        several.streams[2].expected = 1;
        let appended = append(&log, several).await;
        assert_eq!(appended.last.get() - appended.first.get(), 4, "five events");
        assert_eq!(log.load::<facts::Thing>(&two.aggregate_id).await.unwrap().len(), 3);
    }

    async fn a_batch_of_nothing_but_offenders_leaves_no_gap(bench: &Bench) {
        let log = bench.log().await;
        let stream = facts::stream();
        let before = append(&log, facts::to_stream(&stream, 0)).await;
        for _ in 0..3 {
            let refused = log.append(facts::to_stream(&stream, 0), Lane::Foreground).await;
            assert!(matches!(refused, Err(AppendError::Violated(Violation::StreamMoved { .. }))), "{refused:?}");
        }
        assert_eq!(append(&log, facts::anything()).await.first, before.last.next());
    }
}
