//! A token that an MSP's administrator makes for a customer.

use chrono::{DateTime, Utc};
use tenure_aggregates::access_token::{Command, Event, Granter, NewToken};
use tenure_aggregates::values::{Groups, TokenHash, TokenLifetime};
use tenure_aggregates::{Role, TenantKind};

use super::{at, msp_id, tenant_id, value};

pub const CREATED: &str = "2026-04-07T14:30:00Z";
pub const REVOKED: &str = "2026-04-20T17:00:00Z";

pub fn groups(ids: &[&str]) -> Groups {
    Groups::parse(ids).expect("the tests' values are valid")
}

pub fn hash() -> TokenHash {
    TokenHash::from_digest([0xa7; 32])
}

pub fn token() -> NewToken {
    NewToken {
        tenant_id: tenant_id(),
        kind: TenantKind::Customer { msp: msp_id() },
        name: value("nightly sync"),
        role: Role::ReadOnly,
        groups: groups(&["ch8i4ug6lnn4g9hqv7l0"]),
        hash: hash(),
        lifetime: TokenLifetime::from_days(90).expect("the tests' values are valid"),
    }
}

/// The MSP's administrator, who is in no group.
pub fn msp_admin() -> Granter {
    Granter {
        id: value("0198a1b2-c3d4-7000-8000-000000000002/anna"),
        role: Role::MspAdmin,
        tenant_id: msp_id(),
        kind: TenantKind::Msp,
        groups: Groups::default(),
        token_expires_at: None,
        tokens_alive: 0,
    }
}

/// Made and revoked: at the same time every event that there is.
pub fn revoked() -> [Event; 2] {
    let NewToken { tenant_id, kind, name, role, groups, hash, lifetime } = token();
    let created_at = at(CREATED);
    [
        Event::Created {
            tenant_id,
            kind,
            name,
            role,
            groups,
            hash,
            created_by: msp_admin().id,
            expires_at: lifetime.ends_at(created_at),
            at: created_at,
        },
        Event::Revoked { at: at(REVOKED) },
    ]
}

pub fn live() -> Vec<Event> {
    revoked()[..1].to_vec()
}

pub fn create(at: DateTime<Utc>) -> Command {
    Command::Create { token: Box::new(token()), granter: Box::new(msp_admin()), at }
}
