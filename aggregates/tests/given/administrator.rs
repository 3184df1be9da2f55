//! The first administrator of the tenant.

use chrono::{DateTime, Utc};
use tenure_aggregates::administrator::{Command, Event};
use tenure_aggregates::values::SeatLimit;
use tenure_aggregates::{AdministratorRole, Personal};

use super::{at, tenant_id, value};

pub const INVITED: &str = "2026-04-07T14:30:00Z";
pub const ACCEPTED: &str = "2026-04-08T07:15:00Z";
pub const REMOVED: &str = "2026-04-20T17:00:00Z";

/// Invited, accepted, removed: at the same time every event that there is.
pub fn removed_after_accepting() -> [Event; 3] {
    [
        Event::Invited {
            tenant_id: tenant_id(),
            display_name: Personal::Known(value("Ada Lovelace")),
            email: Personal::Known(value("Ada@AcmeCorp.com")),
            role: AdministratorRole::PrimeAdmin,
            at: at(INVITED),
        },
        Event::Accepted { max_users: SeatLimit::DEFAULT, at: at(ACCEPTED) },
        Event::Removed { at: at(REMOVED) },
    ]
}

pub fn invited() -> Vec<Event> {
    removed_after_accepting()[..1].to_vec()
}

pub fn active() -> Vec<Event> {
    removed_after_accepting()[..2].to_vec()
}

pub fn removed() -> Vec<Event> {
    removed_after_accepting().to_vec()
}

pub fn removed_before_accepting() -> Vec<Event> {
    [invited(), vec![Event::Removed { at: at(REMOVED) }]].concat()
}

pub fn invite(at: DateTime<Utc>) -> Command {
    Command::Invite {
        tenant_id: tenant_id(),
        display_name: Personal::Known(value("Ada Lovelace")),
        email: Personal::Known(value("Ada@AcmeCorp.com")),
        role: AdministratorRole::PrimeAdmin,
        at,
    }
}

pub fn accept(at: DateTime<Utc>) -> Command {
    Command::Accept { max_users: SeatLimit::DEFAULT, at }
}

pub fn remove(at: DateTime<Utc>) -> Command {
    Command::Remove { at }
}
