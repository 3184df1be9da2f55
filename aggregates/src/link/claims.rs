//! What a link's events change outside its stream.

use super::{Event, Link, NewLink};
use crate::{ClaimChange, ClaimKey, TenantId};

/// Scope of the claim on a domain among one MSP's links; the key is `MSP's id/domain`, the owner the link.
pub const MSP_DOMAIN_CLAIM: &str = "link.msp-domain";

/// Scope of the claim on an account's one open invitation; the key is the account's id, the owner the link.
pub const INVITATION_CLAIM: &str = "link.invitation";

impl NewLink {
    /// The key of the claim on its domain among its MSP's links.
    #[must_use]
    pub fn domain_key(&self) -> String {
        format!("{}/{}", self.msp, self.domain)
    }
}

/// What `event` takes and gives back, after the state `before`.
pub(super) fn of(before: &Link, event: &Event) -> Vec<ClaimChange> {
    match event {
        Event::Created { link, .. } => vec![domain(link, take)],
        Event::Invited { .. } => before.terms().map(|terms| invitation(terms.link.account, take)).into_iter().collect(),
        Event::Accepted { .. } | Event::Declined { .. } => open_invitation(before).into_iter().collect(),
        Event::Unlinked { .. } | Event::Withdrawn { .. } | Event::Closed { .. } => {
            let domain = before.terms().map(|terms| domain(&terms.link, release));
            domain.into_iter().chain(open_invitation(before)).collect()
        }
        Event::Updated { .. } | Event::Verified { .. } => Vec::new(),
    }
}

fn open_invitation(before: &Link) -> Option<ClaimChange> {
    match before {
        Link::Invited { terms, .. } => Some(invitation(terms.link.account, release)),
        Link::Absent | Link::Pending { .. } | Link::Existing { .. } | Link::Active { .. } | Link::Ended { .. } => None,
    }
}

fn domain(link: &NewLink, change: fn(&'static str, String) -> ClaimChange) -> ClaimChange {
    change(MSP_DOMAIN_CLAIM, link.domain_key())
}

fn invitation(account: TenantId, change: fn(&'static str, String) -> ClaimChange) -> ClaimChange {
    change(INVITATION_CLAIM, account.to_string())
}

fn take(scope: &'static str, key: String) -> ClaimChange {
    ClaimChange::Take { scope, key: ClaimKey::Plain(key) }
}

fn release(scope: &'static str, key: String) -> ClaimChange {
    ClaimChange::Release { scope, key: ClaimKey::Plain(key) }
}
