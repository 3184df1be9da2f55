//! The stages of a link, and what can be asked of any of them.

use std::fmt;

use super::{Link, Terms};

/// Where a link is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the stages of `Link`, without their fields")]
pub enum Stage {
    Absent,
    Pending,
    Existing,
    Invited,
    Active,
    Ended,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 6] = [Self::Absent, Self::Pending, Self::Existing, Self::Invited, Self::Active, Self::Ended];

    /// The stage's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Pending => "pending",
            Self::Existing => "existing",
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    /// Whether the link holds, in whichever way.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Absent | Self::Ended => false,
            Self::Pending | Self::Existing | Self::Invited | Self::Active => true,
        }
    }

    /// Whether the MSP manages the account, so that its groups are let in.
    #[must_use]
    pub const fn is_managed(self) -> bool {
        match self {
            Self::Pending | Self::Active => true,
            Self::Absent | Self::Existing | Self::Invited | Self::Ended => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Link {
    /// The stage, without its fields.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Absent => Stage::Absent,
            Self::Pending { .. } => Stage::Pending,
            Self::Existing { .. } => Stage::Existing,
            Self::Invited { .. } => Stage::Invited,
            Self::Active { .. } => Stage::Active,
            Self::Ended { .. } => Stage::Ended,
        }
    }

    /// The fields, from the first event on.
    #[must_use]
    pub const fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Absent => None,
            Self::Pending { terms }
            | Self::Existing { terms }
            | Self::Invited { terms, .. }
            | Self::Active { terms, .. }
            | Self::Ended { terms } => Some(terms),
        }
    }
}
