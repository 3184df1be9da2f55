//! A link of either origin, from its creation on.

use tenure_aggregates::link::{Command, Event, GroupGrant, GroupGrants, GroupRole, NewLink, Origin, Proof};
use tenure_aggregates::tenant;

use super::{at, msp_id, tenant_id, value};

pub const CREATED: &str = "2026-04-07T14:30:00Z";
pub const CHANGED: &str = "2026-04-08T07:15:00Z";

pub fn groups(of: &[(&str, GroupRole)]) -> GroupGrants {
    let grants: Vec<_> = of.iter().map(|(id, role)| GroupGrant { id: value(id), role: *role }).collect();
    GroupGrants::try_from(grants).expect("the tests' groups are few")
}

pub fn new_link() -> NewLink {
    NewLink {
        msp: msp_id(),
        account: tenant_id(),
        name: value("My new tenant"),
        domain: value("tenant.com"),
        groups: groups(&[("ch8i4ug6lnn4g9hqv7m0", GroupRole::Admin)]),
        dns_challenge: value("YXNkYSBkYXNhc2Rhc2RhIGFzZGFzZDJhc2QyNDUxNQ"),
    }
}

fn created(origin: Origin) -> Event {
    Event::Created { link: new_link(), origin, at: at(CREATED) }
}

/// Every event, with fields that fit.
pub fn every_event() -> [Event; 9] {
    let at = at(CHANGED);
    [
        created(Origin::New),
        Event::Updated { name: Some(value("Renamed")), groups: Some(groups(&[("g2", GroupRole::Auditor)])), at },
        Event::Verified { at },
        Event::Invited { at },
        Event::Accepted { at },
        Event::Declined { at },
        Event::Unlinked { at },
        Event::Withdrawn { at },
        Event::Closed { at },
    ]
}

// Histories, one for each stage.

pub fn pending() -> Vec<Event> {
    vec![created(Origin::New)]
}

pub fn existing() -> Vec<Event> {
    vec![created(Origin::Existing)]
}

pub fn invited() -> Vec<Event> {
    [existing(), vec![Event::Invited { at: at(CHANGED) }]].concat()
}

pub fn verified() -> Vec<Event> {
    [pending(), vec![Event::Verified { at: at(CHANGED) }]].concat()
}

pub fn accepted() -> Vec<Event> {
    [invited(), vec![Event::Accepted { at: at("2026-04-09T10:00:00Z") }]].concat()
}

pub fn ended() -> Vec<Event> {
    [verified(), vec![Event::Unlinked { at: at("2026-04-09T10:00:00Z") }]].concat()
}

/// Every command, in a fixed order, with fields that every stage could accept.
pub fn every_command(now: &str) -> [Command; 9] {
    let at = at(now);
    [
        Command::Create { link: new_link(), origin: Origin::New, at },
        Command::Update { name: value("Renamed"), groups: groups(&[("g2", GroupRole::Auditor)]), at },
        Command::Verify { proof: Proof::Found, at },
        Command::Invite { at },
        Command::Accept { at },
        Command::Decline { at },
        Command::Unlink { at },
        Command::Withdraw { at },
        Command::Close { account: tenant::Stage::Deprovisioning, at },
    ]
}
