//! Groups of an MSP's people, and what each may do in one account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::values::{GroupId, Groups};

/// What a group's people may do in an account, the least first: of several the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupRole {
    /// Nothing here.
    User,
    /// Bills, which are the MSP's: nothing here.
    BillingAdmin,
    /// The network, which is not here: nothing.
    NetworkAdmin,
    /// Sees, changes nothing.
    Auditor,
    /// Sees and changes.
    Admin,
    /// The same.
    Owner,
}

/// The text names no role of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be owner, admin, network_admin, billing_admin, auditor or user")]
pub struct UnknownGroupRole;

impl GroupRole {
    /// Every role, the least first.
    pub const ALL: [Self; 6] =
        [Self::User, Self::BillingAdmin, Self::NetworkAdmin, Self::Auditor, Self::Admin, Self::Owner];

    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::BillingAdmin => "billing_admin",
            Self::NetworkAdmin => "network_admin",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for GroupRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GroupRole {
    type Err = UnknownGroupRole;

    fn from_str(text: &str) -> Result<Self, UnknownGroupRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownGroupRole)
    }
}

/// A group, and the role that its people have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupGrant {
    /// The group.
    pub id: GroupId,
    /// What its people may do.
    pub role: GroupRole,
}

/// More groups than an account can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {max} groups, not {count}")]
pub struct TooManyGroups {
    /// Groups given.
    pub count: usize,
    /// Most groups.
    pub max: usize,
}

/// At most [`GroupGrants::MAX`] groups with their roles, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<GroupGrant>")]
pub struct GroupGrants(Vec<GroupGrant>);

impl GroupGrants {
    /// Most groups of one account.
    pub const MAX: usize = 100;

    /// Each group with its role.
    pub fn iter(&self) -> impl Iterator<Item = &GroupGrant> {
        self.0.iter()
    }

    /// The highest role of somebody who is in these groups; `None` for who is in none of the account's.
    #[must_use]
    pub fn highest(&self, memberships: &Groups) -> Option<GroupRole> {
        self.iter().filter(|grant| memberships.contains(&grant.id)).map(|grant| grant.role).max()
    }
}

impl TryFrom<Vec<GroupGrant>> for GroupGrants {
    type Error = TooManyGroups;

    fn try_from(groups: Vec<GroupGrant>) -> Result<Self, TooManyGroups> {
        if groups.len() > Self::MAX {
            return Err(TooManyGroups { count: groups.len(), max: Self::MAX });
        }
        Ok(Self(groups))
    }
}
