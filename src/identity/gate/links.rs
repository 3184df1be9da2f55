//! Whom the links between MSPs and accounts let in: an MSP's groups, each with a role in one account.

use std::collections::{BTreeSet, HashMap};

use tenure_aggregates::link::{Event, GroupGrants, GroupRole, Link, Origin, Stage};
use tenure_aggregates::values::{GroupId, Groups};
use tenure_aggregates::{LinkId, TenantId, decode_text};
use tenure_event_log::RecordedEvent;

use super::standing::{Applied, Unreadable};

/// A link, and whom it lets in while the MSP manages the account.
#[derive(Clone, Debug)]
pub struct LinkStanding {
    /// Whose people.
    pub msp: TenantId,
    /// Into which account.
    pub account: TenantId,
    /// How the link stands.
    pub stage: Stage,
    /// Which groups.
    pub groups: GroupGrants,
}

/// Every link that holds.
#[derive(Debug, Default)]
pub(super) struct Links {
    known: HashMap<LinkId, LinkStanding>,
    /// The accounts that a group of an MSP is named in.
    by_group: HashMap<TenantId, HashMap<GroupId, BTreeSet<LinkId>>>,
}

impl Links {
    pub fn new(links: impl IntoIterator<Item = LinkStanding>) -> Self {
        let mut all = Self::default();
        for link in links {
            all.put(LinkId::between(link.msp, link.account), link);
        }
        all
    }

    /// The highest role that the groups of an MSP's people give in an account that it manages.
    pub fn role_in(&self, msp: TenantId, account: TenantId, groups: &Groups) -> Option<GroupRole> {
        let link = self.known.get(&LinkId::between(msp, account))?;
        link.groups.highest(groups).filter(|_| link.stage.is_managed())
    }

    /// Each account that the groups of an MSP's people are let into, with their highest role there.
    pub fn let_in(&self, msp: TenantId, groups: &Groups) -> Vec<(TenantId, GroupRole)> {
        let Some(by_group) = self.by_group.get(&msp) else { return Vec::new() };
        let links: BTreeSet<LinkId> =
            groups.iter().filter_map(|group| by_group.get(group)).flatten().copied().collect();
        let accounts = links.iter().filter_map(|link| self.known.get(link)).map(|link| link.account);
        accounts.filter_map(|account| Some((account, self.role_in(msp, account, groups)?))).collect()
    }

    /// Takes over what a link's event says. What this release can't read lets nobody in.
    pub fn apply(&mut self, event: &RecordedEvent) -> Applied {
        let Ok(id) = event.stream.aggregate_id.parse::<LinkId>() else { return Applied::default() };
        let decoded = match decode_text::<Link>(&event.event_type, &event.event_version, event.payload.text()) {
            Ok(decoded) => decoded,
            Err(cause) => {
                self.remove(id);
                return Applied { unreadable: Some(Unreadable::new(event, cause)), deleted: false };
            }
        };
        match decoded {
            Event::Created { link, origin, at: _ } => {
                let stage = match origin {
                    Origin::New => Stage::Pending,
                    Origin::Existing => Stage::Existing,
                };
                self.put(id, LinkStanding { msp: link.msp, account: link.account, stage, groups: link.groups });
            }
            Event::Updated { groups: Some(groups), .. } => {
                if let Some(link) = self.remove(id) {
                    self.put(id, LinkStanding { groups, ..link });
                }
            }
            Event::Updated { groups: None, .. } => {}
            Event::Verified { .. } | Event::Accepted { .. } => self.enter(id, Stage::Active),
            Event::Invited { .. } => self.enter(id, Stage::Invited),
            Event::Declined { .. } => self.enter(id, Stage::Existing),
            Event::Unlinked { .. } | Event::Withdrawn { .. } | Event::Closed { .. } => drop(self.remove(id)),
        }
        Applied::default()
    }

    fn enter(&mut self, id: LinkId, stage: Stage) {
        if let Some(link) = self.known.get_mut(&id) {
            link.stage = stage;
        }
    }

    fn put(&mut self, id: LinkId, link: LinkStanding) {
        self.remove(id);
        let by_group = self.by_group.entry(link.msp).or_default();
        for grant in link.groups.iter() {
            by_group.entry(grant.id.clone()).or_default().insert(id);
        }
        self.known.insert(id, link);
    }

    fn remove(&mut self, id: LinkId) -> Option<LinkStanding> {
        let link = self.known.remove(&id)?;
        if let Some(by_group) = self.by_group.get_mut(&link.msp) {
            for grant in link.groups.iter() {
                if let Some(links) = by_group.get_mut(&grant.id) {
                    links.remove(&id);
                    if links.is_empty() {
                        by_group.remove(&grant.id);
                    }
                }
            }
        }
        Some(link)
    }
}
