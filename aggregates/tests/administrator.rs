//! The administrator's rules.

use tenure_aggregates::administrator::{Command, EMAIL_CLAIM, Error, Event, Stage};
use tenure_aggregates::tenant::SEAT_LIMIT;
use tenure_aggregates::{
    Administrator, AdministratorRole, ClaimChange, ClaimKey, Decider, Impossible, LimitChange, Personal,
};

use crate::given::administrator::{
    accept, active, invite, invited, remove, removed, removed_after_accepting, removed_before_accepting,
};
use crate::given::{at, state, tenant_id};

const NOW: &str = "2026-05-01T12:00:00Z";

/// Checks one stage's table; three commands, each once.
fn assert_rules(history: &[Event], then: [Result<Vec<Event>, Error>; 3]) {
    let commands: [Command; 3] = [invite(at(NOW)), accept(at(NOW)), remove(at(NOW))];
    for (command, then) in commands.into_iter().zip(then) {
        assert_eq!(state::<Administrator>(history).decide(command.clone()), then, "{command:?}");
    }
}

fn accepted_now() -> Event {
    Event::Accepted { max_users: tenure_aggregates::values::SeatLimit::DEFAULT, at: at(NOW) }
}

#[test]
fn one_who_was_never_invited_can_only_be_invited() {
    let [Event::Invited { tenant_id, display_name, email, role, .. }, ..] = removed_after_accepting() else {
        panic!("invited first")
    };
    let invited = Event::Invited { tenant_id, display_name, email, role, at: at(NOW) };
    assert_rules(&[], [Ok(vec![invited]), Err(Error::NeverInvited), Err(Error::NeverInvited)]);
}

#[test]
fn an_invited_one_accepts_or_is_removed() {
    assert_rules(
        &invited(),
        [
            Err(Error::AlreadyInvited { stage: Stage::Invited }),
            Ok(vec![accepted_now()]),
            Ok(vec![Event::Removed { at: at(NOW) }]),
        ],
    );
}

#[test]
fn an_active_one_is_removed() {
    assert_rules(
        &active(),
        [
            Err(Error::AlreadyInvited { stage: Stage::Active }),
            Err(Error::AlreadyAccepted),
            Ok(vec![Event::Removed { at: at(NOW) }]),
        ],
    );
}

#[test]
fn a_removed_one_stays_removed() {
    for history in [removed(), removed_before_accepting()] {
        assert_rules(
            &history,
            [
                Err(Error::AlreadyInvited { stage: Stage::Removed }),
                Err(Error::AlreadyRemoved),
                Err(Error::AlreadyRemoved),
            ],
        );
    }
}

#[test]
fn every_event_after_every_stage_leads_on_or_is_impossible() {
    use Stage::{Active, Invited, Removed};
    for (history, [after_invited, after_accepted, after_removed]) in [
        (vec![], [Some(Invited), None, None]),
        (invited(), [None, Some(Active), Some(Removed)]),
        (active(), [None, None, Some(Removed)]),
        (removed(), [None, None, None]),
    ] {
        let before = state::<Administrator>(&history);
        let leads_to = [after_invited, after_accepted, after_removed];
        for (event, then) in removed_after_accepting().into_iter().zip(leads_to) {
            let stage = before.stage().as_str();
            let impossible = Impossible { aggregate: "administrator", stage, event: event.name() };
            let after = before.clone().evolve(&event).map(|administrator| administrator.stage());
            assert_eq!(after, then.ok_or(impossible));
        }
    }
}

#[test]
fn the_profile_stays_through_every_stage() {
    assert_eq!(state::<Administrator>(&[]).profile(), None);
    let profile = state::<Administrator>(&invited()).profile().cloned();
    assert_eq!(profile.as_ref().map(|profile| profile.role), Some(AdministratorRole::PrimeAdmin));
    for history in [active(), removed(), removed_before_accepting()] {
        assert_eq!(state::<Administrator>(&history).profile().cloned(), profile);
    }
}

#[test]
fn an_address_is_claimed_within_the_tenant_whatever_its_case_and_freed_on_removal() {
    let key = || ClaimKey::Personal(format!("{}/ada@acmecorp.com", tenant_id()));
    let [invitation, acceptance, removal] = removed_after_accepting();
    let claims = |history: &[Event], event| state::<Administrator>(history).claims(event);

    assert_eq!(claims(&[], &invitation), [ClaimChange::Take { scope: EMAIL_CLAIM, key: key() }]);
    assert_eq!(claims(&invited(), &acceptance), []);
    for history in [invited(), active()] {
        assert_eq!(claims(&history, &removal), [ClaimChange::Release { scope: EMAIL_CLAIM, key: key() }]);
    }
}

#[test]
fn an_erased_address_can_not_be_freed() {
    let [mut invitation, _, removal] = removed_after_accepting();
    if let Event::Invited { email, .. } = &mut invitation {
        *email = Personal::Erased;
    }
    assert_eq!(state::<Administrator>(&[invitation]).claims(&removal), []);
}

#[test]
fn a_seat_is_taken_on_acceptance_and_given_back_on_removal() {
    let [invitation, acceptance, removal] = removed_after_accepting();
    let limits = |history: &[Event], event| state::<Administrator>(history).limits(event);
    let seats = |delta, max| LimitChange { scope: SEAT_LIMIT, key: tenant_id().to_string(), delta, max };

    assert_eq!(limits(&[], &invitation), []);
    assert_eq!(limits(&invited(), &acceptance), [seats(1, Some(500))]);
    assert_eq!(limits(&active(), &removal), [seats(-1, None)]);
    assert_eq!(limits(&invited(), &removal), [], "who never accepted holds no seat");
}

#[test]
fn roles_are_written_as_the_model_names_them() {
    use AdministratorRole::{
        Admin, Auditor, Billing, DpskAdmin, OfficeAdmin, PrimeAdmin, ReadOnly, ReportsAdmin, TemplatesAdmin,
    };
    let roles = [PrimeAdmin, Admin, OfficeAdmin, DpskAdmin, TemplatesAdmin, ReportsAdmin, ReadOnly, Auditor, Billing];
    let names = serde_json::to_value(roles).expect("roles can be written");
    assert_eq!(
        names,
        serde_json::json!([
            "prime-admin",
            "admin",
            "office-admin",
            "dpsk-admin",
            "templates-admin",
            "reports-admin",
            "read-only",
            "auditor",
            "billing"
        ])
    );
}
