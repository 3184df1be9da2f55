//! Every aggregate that there is, so that whoever reads all streams can't forget one: a new one is a variant here, and the
//! compiler lists the places where it is missing.

use crate::access_token::LastUse;
use crate::{AccessToken, Administrator, Decider as _, Link, Subscription, Tenant};

/// Of which aggregate a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// [`Tenant`].
    Tenant,
    /// [`Administrator`].
    Administrator,
    /// [`Link`].
    Link,
    /// [`Subscription`].
    Subscription,
    /// [`AccessToken`].
    AccessToken,
    /// [`LastUse`].
    LastUse,
}

impl AggregateKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Tenant, Self::Administrator, Self::Link, Self::Subscription, Self::AccessToken, Self::LastUse];

    /// The first half of its streams' names: [`Decider::TYPE`](crate::Decider::TYPE).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => Tenant::TYPE,
            Self::Administrator => Administrator::TYPE,
            Self::Link => Link::TYPE,
            Self::Subscription => Subscription::TYPE,
            Self::AccessToken => AccessToken::TYPE,
            Self::LastUse => LastUse::TYPE,
        }
    }

    /// The one with this name; `None` for those that only a newer release knows.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_a_name_of_its_own() {
        for kind in AggregateKind::ALL {
            assert_eq!(AggregateKind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(AggregateKind::named("lamp"), None);
    }
}
