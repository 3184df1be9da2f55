//! The access token's rules.

mod granting;
mod last_use;

use tenure_aggregates::access_token::{Command, Error, Event, HASH_CLAIM, Stage};
use tenure_aggregates::{AccessToken, ClaimChange, ClaimKey, Decider, Impossible};

use crate::given::access_token::{CREATED, create, hash, live, revoked};
use crate::given::{at, state};

const NOW: &str = "2026-05-01T12:00:00Z";

/// Checks one stage's table; two commands, each once.
fn assert_rules(history: &[Event], then: [Result<Vec<Event>, Error>; 2]) {
    for (command, then) in [create(at(CREATED)), Command::Revoke { at: at(NOW) }].into_iter().zip(then) {
        assert_eq!(state::<AccessToken>(history).decide(command.clone()), then, "{command:?}");
    }
}

#[test]
fn one_that_was_never_made_can_only_be_made() {
    assert_rules(&[], [Ok(live()), Err(Error::NeverMade)]);
}

#[test]
fn a_live_one_is_revoked() {
    assert_rules(&live(), [Err(Error::AlreadyMade { stage: Stage::Live }), Ok(vec![Event::Revoked { at: at(NOW) }])]);
}

#[test]
fn a_revoked_one_stays_revoked_and_revoking_it_again_changes_nothing() {
    assert_rules(&revoked(), [Err(Error::AlreadyMade { stage: Stage::Revoked }), Ok(Vec::new())]);
}

#[test]
fn every_event_after_every_stage_leads_on_or_is_impossible() {
    for (history, leads_to) in [
        (vec![], [Some(Stage::Live), None]),
        (live(), [None, Some(Stage::Revoked)]),
        (revoked().to_vec(), [None, None]),
    ] {
        let before = state::<AccessToken>(&history);
        for (event, then) in revoked().into_iter().zip(leads_to) {
            let stage = before.stage().as_str();
            let impossible = Impossible { aggregate: "access_token", stage, event: event.name() };
            let after = before.clone().evolve(&event).map(|token| token.stage());
            assert_eq!(after, then.ok_or(impossible));
        }
    }
}

#[test]
fn what_it_stands_for_stays_through_every_stage() {
    assert_eq!(state::<AccessToken>(&[]).details(), None);
    let details = state::<AccessToken>(&live()).details().cloned();
    assert_eq!(details.as_ref().map(|details| details.expires_at), Some(at("2026-07-06T14:30:00Z")), "90 days");
    assert_eq!(state::<AccessToken>(&revoked()).details().cloned(), details);
}

#[test]
fn a_hash_is_claimed_for_ever() {
    let [created, revocation] = revoked();
    let key = ClaimKey::Plain(hash().to_string());
    assert_eq!(state::<AccessToken>(&[]).claims(&created), [ClaimChange::Take { scope: HASH_CLAIM, key }]);
    let live = state::<AccessToken>(&live());
    assert_eq!(live.claims(&revocation), []);
    assert_eq!((live.limits(&created), live.limits(&revocation)), (vec![], vec![]));
}
