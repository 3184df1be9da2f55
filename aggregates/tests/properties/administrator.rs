//! An administrator under any sequence of commands.

use proptest::prelude::*;
use tenure_aggregates::{Administrator, ClaimChange, Folded, Refusal, fold};

use crate::given::administrator::{accept, invite, remove};
use crate::given::{at, stored};

proptest! {
    #[test]
    fn address_and_seat_are_held_as_the_stage_says_and_a_replay_agrees(commands in prop::collection::vec(0..3u8, 0..12)) {
        let now = at("2026-05-01T12:00:00Z");
        let (mut live, mut history) = (Folded::<Administrator>::default(), Vec::new());
        let (mut address_held, mut seats) = (false, 0);
        for command in commands {
            let command = match command {
                0 => invite(now),
                1 => accept(now),
                _ => remove(now),
            };
            let decision = match live.decide(command) {
                Ok(decision) => decision,
                Err(Refusal::Rule(_)) => continue,
                Err(Refusal::Impossible(impossible)) => panic!("a decision that can't be: {impossible}"),
            };
            for claim in &decision.claims {
                address_held = matches!(claim, ClaimChange::Take { .. });
            }
            seats += decision.limits.iter().map(|change| change.delta).sum::<i64>();
            history.extend(decision.events);
            live = decision.after;

            let (expected_address, expected_seats) = match live.state {
                Administrator::Uninvited | Administrator::Removed { .. } => (false, 0),
                Administrator::Invited { .. } => (true, 0),
                Administrator::Active { .. } => (true, 1),
            };
            prop_assert_eq!((address_held, seats), (expected_address, expected_seats));
        }
        let stored = stored::<Administrator>("ada", &history);
        prop_assert_eq!(fold::<Administrator>("ada", stored).expect("a sound history"), live);
    }
}
