//! What happens to a link.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::{GroupGrants, NewLink, Origin};
use crate::values::DisplayName;

/// What happened to a link. `at` is when; the wire names are the business's and frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the commands say what each field is for")]
pub enum Event {
    /// The two are linked: pending if the account is new, existing if not.
    #[serde(rename = "link.created")]
    Created {
        #[serde(flatten)]
        link: NewLink,
        origin: Origin,
        at: DateTime<Utc>,
    },
    /// The MSP calls the account something else or lets other groups in; only what is new is named.
    #[serde(rename = "link.updated")]
    Updated {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<DisplayName>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        groups: Option<GroupGrants>,
        at: DateTime<Utc>,
    },
    /// The domain is proven.
    #[serde(rename = "link.verified")]
    Verified { at: DateTime<Utc> },
    /// The account's owner was asked.
    #[serde(rename = "link.invited")]
    Invited { at: DateTime<Utc> },
    /// The owner agreed.
    #[serde(rename = "link.accepted")]
    Accepted { at: DateTime<Utc> },
    /// The owner did not.
    #[serde(rename = "link.declined")]
    Declined { at: DateTime<Utc> },
    /// The MSP let the account go.
    #[serde(rename = "link.unlinked")]
    Unlinked { at: DateTime<Utc> },
    /// The MSP gave up on an account that it did not manage.
    #[serde(rename = "link.withdrawn")]
    Withdrawn { at: DateTime<Utc> },
    /// The account is being deleted, and its domain was linked anew.
    #[serde(rename = "link.closed")]
    Closed { at: DateTime<Utc> },
}

impl Event {
    /// The event's wire name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "link.created",
            Self::Updated { .. } => "link.updated",
            Self::Verified { .. } => "link.verified",
            Self::Invited { .. } => "link.invited",
            Self::Accepted { .. } => "link.accepted",
            Self::Declined { .. } => "link.declined",
            Self::Unlinked { .. } => "link.unlinked",
            Self::Withdrawn { .. } => "link.withdrawn",
            Self::Closed { .. } => "link.closed",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Created { at, .. }
            | Self::Updated { at, .. }
            | Self::Verified { at }
            | Self::Invited { at }
            | Self::Accepted { at }
            | Self::Declined { at }
            | Self::Unlinked { at }
            | Self::Withdrawn { at }
            | Self::Closed { at } => *at,
        }
    }
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
