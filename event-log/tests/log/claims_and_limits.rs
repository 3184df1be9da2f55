//! Names and counters change with the events, or not at all.

use tenure_event_log::{AppendError, EventLog, Lane, Violation};

use crate::bench::{Bench, append};
use crate::facts::{self, claim, seats};

async fn owner(log: &EventLog) -> Option<String> {
    log.claim_owner("thing.code", "acme").await.unwrap()
}

on_both_engines! {
    async fn a_released_name_can_be_taken_again(bench: &Bench) {
        let log = bench.log().await;
        let mut taken = facts::anything();
        taken.claims = vec![claim("acme", "first")];
        append(&log, taken).await;
        assert_eq!(owner(&log).await.as_deref(), Some("first"));

        let mut released = facts::anything();
        released.releases = vec![claim("acme", "first")];
        append(&log, released).await;
        assert_eq!(owner(&log).await, None);

        let mut taken = facts::anything();
        taken.claims = vec![claim("acme", "second")];
        append(&log, taken).await;
        assert_eq!(owner(&log).await.as_deref(), Some("second"));
        assert_eq!(log.claim_owner("another.scope", "acme").await.unwrap(), None);
    }

    async fn a_name_is_handed_over_in_one_append(bench: &Bench) {
        let log = bench.log().await;
        let mut taken = facts::anything();
        taken.claims = vec![claim("acme", "first")];
        append(&log, taken).await;

        let mut stolen = facts::anything();
        stolen.releases = vec![claim("acme", "third")];
        stolen.claims = vec![claim("acme", "second")];
        let refused = log.append(stolen, Lane::Foreground).await;
        assert!(matches!(refused, Err(AppendError::Violated(Violation::ClaimTaken { .. }))), "{refused:?}");

        let mut handed_over = facts::anything();
        handed_over.releases = vec![claim("acme", "first")];
        handed_over.claims = vec![claim("acme", "second")];
        append(&log, handed_over).await;
        assert_eq!(owner(&log).await.as_deref(), Some("second"));
    }

    async fn a_limit_is_raised_and_lowered_as_far_as_it_is_used(bench: &Bench) {
        let log = bench.log().await;
        for (delta, max, allowed) in [
            (5, Some(5), true),
            (1, None, false),
            (1, Some(6), true),
            (0, Some(5), false),
            (-3, Some(3), true),
            (1, None, false),
            (-3, None, true),
            (-1, None, false),
        ] {
            let mut change = facts::anything();
            change.limits = vec![seats("hall", delta, max)];
            let answer = log.append(change, Lane::Foreground).await;
            assert_eq!(answer.is_ok(), allowed, "{delta} {max:?}: {answer:?}");
        }
    }
}
