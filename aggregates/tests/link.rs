//! The link's rules: every command in every stage, what events lead to, and what they claim.

use std::collections::BTreeMap;

use tenure_aggregates::link::{
    Command, Error, Event, GroupGrant, GroupGrants, GroupRole, INVITATION_CLAIM, MSP_DOMAIN_CLAIM, Origin, Proof,
    Stage, TooManyGroups,
};
use tenure_aggregates::values::Groups;
use tenure_aggregates::{ClaimChange, ClaimKey, Decider, Impossible, Link, LinkId, tenant};

use crate::given::link::{
    accepted, ended, every_command, every_event, existing, groups, invited, new_link, pending, verified,
};
use crate::given::{at, msp_id, state, tenant_id, value};

const NOW: &str = "2026-05-01T12:00:00Z";

/// One history for each stage, and for an active link one of either kind.
fn histories() -> [(Stage, Vec<Event>); 7] {
    [
        (Stage::Absent, vec![]),
        (Stage::Pending, pending()),
        (Stage::Existing, existing()),
        (Stage::Invited, invited()),
        (Stage::Active, verified()),
        (Stage::Active, accepted()),
        (Stage::Ended, ended()),
    ]
}

/// What each command makes happen in a stage: the events' names, `None` where the stage refuses it.
fn then(stage: Stage) -> [Option<&'static [&'static str]>; 9] {
    let created: Option<&[_]> = Some(&["link.created"]);
    let (updated, closed): (Option<&[_]>, Option<&[_]>) = (Some(&["link.updated"]), Some(&["link.closed"]));
    let (unlinked, withdrawn): (Option<&[_]>, Option<&[_]>) = (Some(&["link.unlinked"]), Some(&["link.withdrawn"]));
    let nothing: Option<&[_]> = Some(&[]);
    match stage {
        Stage::Absent | Stage::Ended => [created, None, None, None, None, None, None, None, None],
        Stage::Pending => [None, updated, Some(&["link.verified"]), None, None, None, unlinked, None, closed],
        Stage::Existing => [None, None, None, Some(&["link.invited"]), None, None, None, withdrawn, closed],
        Stage::Invited => {
            [None, None, None, nothing, Some(&["link.accepted"]), Some(&["link.declined"]), None, withdrawn, closed]
        }
        Stage::Active => [None, updated, nothing, None, None, None, unlinked, None, closed],
    }
}

#[test]
fn every_command_in_every_stage_makes_its_event_or_is_refused() {
    for (stage, history) in histories() {
        let link = state::<Link>(&history);
        assert_eq!(link.stage(), stage);
        for (command, then) in every_command(NOW).into_iter().zip(then(stage)) {
            let is_creation = matches!(command, Command::Create { .. });
            match (link.decide(command.clone()), then) {
                (Ok(events), Some(then)) => {
                    assert_eq!(events.iter().map(Event::name).collect::<Vec<_>>(), then, "{stage} {command:?}");
                    assert!(events.iter().all(|event| event.at() == at(NOW)));
                }
                (Err(error), None) => {
                    let expected = match (stage.is_live(), is_creation) {
                        (false, _) => Error::NotLinked,
                        (true, true) => Error::AlreadyLinked { stage },
                        (true, false) => Error::WrongStage { stage },
                    };
                    assert_eq!(error, expected, "{command:?}");
                }
                (decided, then) => panic!("{stage} {command:?}: {decided:?}, not {then:?}"),
            }
        }
    }
}

/// The events that can follow a stage, and the stage after each.
fn leads_to(stage: Stage) -> BTreeMap<&'static str, Stage> {
    use Stage::{Active, Ended, Existing, Invited, Pending};
    let possible: &[_] = match stage {
        Stage::Absent | Ended => &[("link.created", Pending)],
        Pending => {
            &[("link.updated", Pending), ("link.verified", Active), ("link.unlinked", Ended), ("link.closed", Ended)]
        }
        Existing => &[("link.invited", Invited), ("link.withdrawn", Ended), ("link.closed", Ended)],
        Invited => {
            &[("link.accepted", Active), ("link.declined", Existing), ("link.withdrawn", Ended), ("link.closed", Ended)]
        }
        Active => &[("link.updated", Active), ("link.unlinked", Ended), ("link.closed", Ended)],
    };
    possible.iter().copied().collect()
}

#[test]
fn every_event_after_every_stage_leads_on_or_is_impossible() {
    for (stage, history) in histories() {
        for event in every_event() {
            let after = state::<Link>(&history).evolve(&event).map(|link| link.stage());
            let impossible = Impossible { aggregate: "link", stage: stage.as_str(), event: event.name() };
            assert_eq!(after, leads_to(stage).get(event.name()).copied().ok_or(impossible));
        }
    }
    let account = Event::Created { link: new_link(), origin: Origin::Existing, at: at(NOW) };
    assert_eq!(Link::default().evolve(&account).map(|link| link.stage()), Ok(Stage::Existing));
}

#[test]
fn what_the_link_is_made_of_stays_and_its_times_follow() {
    let link = state::<Link>(&accepted());
    let terms = link.terms().unwrap();
    assert_eq!(terms.link, new_link());
    assert_eq!((terms.created_at, terms.updated_at), (at("2026-04-07T14:30:00Z"), at("2026-04-09T10:00:00Z")));
    let Link::Active { activated_at, invited_at, .. } = &link else { panic!("active") };
    assert_eq!((*activated_at, *invited_at), (at("2026-04-09T10:00:00Z"), Some(at("2026-04-08T07:15:00Z"))));
    let Link::Active { invited_at, .. } = state::<Link>(&verified()) else { panic!("active") };
    assert_eq!(invited_at, None, "nobody was asked");
}

#[test]
fn a_declined_account_exists_as_before_and_can_be_asked_again() {
    let declined = [invited(), vec![Event::Declined { at: at(NOW) }]].concat();
    let link = state::<Link>(&declined);
    assert_eq!(link.stage(), Stage::Existing);
    assert_eq!(link.decide(Command::Invite { at: at(NOW) }), Ok(vec![Event::Invited { at: at(NOW) }]));
}

#[test]
fn only_what_is_new_is_an_update() {
    let link = state::<Link>(&verified());
    let update = |name: &str, groups| link.decide(Command::Update { name: value(name), groups, at: at(NOW) }).unwrap();
    assert_eq!(update("My new tenant", new_link().groups), []);
    let renamed = Event::Updated { name: Some(value("Other")), groups: None, at: at(NOW) };
    assert_eq!(update("Other", new_link().groups), [renamed]);
    let nobody = Event::Updated { name: None, groups: Some(GroupGrants::default()), at: at(NOW) };
    assert_eq!(update("My new tenant", GroupGrants::default()), [nobody]);
}

#[test]
fn an_unproven_domain_stays_pending_and_says_what_to_publish() {
    let link = state::<Link>(&pending());
    let (domain, dns_challenge) = (new_link().domain, new_link().dns_challenge);
    assert_eq!(
        link.decide(Command::Verify { proof: Proof::Missing, at: at(NOW) }),
        Err(Error::ChallengeMissing { domain: domain.clone(), dns_challenge: dns_challenge.clone() })
    );
    let reason = "no answer within 5 s".to_owned();
    assert_eq!(
        link.decide(Command::Verify { proof: Proof::LookupFailed { reason: reason.clone() }, at: at(NOW) }),
        Err(Error::LookupFailed { domain, dns_challenge, reason })
    );
}

#[test]
fn only_an_account_that_is_being_deleted_loses_its_link_by_itself() {
    use tenant::Stage::{Active, Deleted, Deprovisioning, Suspended, Unprovisioned};
    for history in [pending(), existing(), invited(), verified()] {
        let close = |account| state::<Link>(&history).decide(Command::Close { account, at: at(NOW) });
        for account in [Deprovisioning, Deleted] {
            assert_eq!(close(account), Ok(vec![Event::Closed { at: at(NOW) }]));
        }
        for account in [Unprovisioned, Active, Suspended] {
            assert_eq!(close(account), Err(Error::AccountInUse { account }));
        }
    }
}

#[test]
fn a_domain_is_claimed_among_the_msps_links_and_freed_when_the_link_ends() {
    let key = || ClaimKey::Plain(format!("{}/tenant.com", msp_id()));
    let claims = |history: &[Event], event: &Event| state::<Link>(history).claims(event);
    let [created, _, _, _, _, _, unlinked, withdrawn, closed] = every_event();
    assert_eq!(claims(&[], &created), [ClaimChange::Take { scope: MSP_DOMAIN_CLAIM, key: key() }]);
    let freed = [ClaimChange::Release { scope: MSP_DOMAIN_CLAIM, key: key() }];
    for (history, event) in
        [(pending(), &unlinked), (verified(), &unlinked), (existing(), &withdrawn), (pending(), &closed)]
    {
        assert_eq!(claims(&history, event), freed);
    }
}

#[test]
fn an_account_has_one_open_invitation() {
    let key = || ClaimKey::Plain(tenant_id().to_string());
    let claims = |history: &[Event], event: &Event| state::<Link>(history).claims(event);
    let [_, _, _, asked, agreed, declined, _, withdrawn, closed] = every_event();
    assert_eq!(claims(&existing(), &asked), [ClaimChange::Take { scope: INVITATION_CLAIM, key: key() }]);
    let over = ClaimChange::Release { scope: INVITATION_CLAIM, key: key() };
    for event in [agreed, declined] {
        assert_eq!(claims(&invited(), &event), std::slice::from_ref(&over));
    }
    for event in [withdrawn, closed] {
        assert_eq!(&claims(&invited(), &event)[1..], std::slice::from_ref(&over), "beside the domain");
    }
}

#[test]
fn somebody_in_several_groups_has_the_highest_role() {
    let groups = groups(&[("a", GroupRole::User), ("b", GroupRole::Admin), ("c", GroupRole::Auditor)]);
    let highest = |of: &[&str]| groups.highest(&Groups::parse(of).unwrap());
    assert_eq!(highest(&["c", "a"]), Some(GroupRole::Auditor));
    assert_eq!(highest(&["a", "b", "c", "x"]), Some(GroupRole::Admin));
    assert_eq!((highest(&["x"]), highest(&[])), (None, None));
    assert!(GroupRole::ALL.is_sorted() && GroupRole::Owner > GroupRole::Admin);
}

#[test]
fn an_account_has_at_most_a_hundred_groups() {
    let many = |count: usize| {
        let grant = |number| GroupGrant { id: value(&format!("g{number}")), role: GroupRole::User };
        GroupGrants::try_from((0..count).map(grant).collect::<Vec<_>>())
    };
    assert!(many(100).is_ok());
    assert_eq!(many(101), Err(TooManyGroups { count: 101, max: 100 }));
}

#[test]
fn two_tenants_have_one_link_and_its_id_never_changes() {
    assert_eq!(LinkId::between(msp_id(), tenant_id()).to_string(), "8ed9bee0-f47f-5c87-b2e8-beaf353dc729");
    assert_ne!(LinkId::between(msp_id(), tenant_id()), LinkId::between(tenant_id(), msp_id()));
}
