//! The link between an MSP and an account: how the one came to manage the other, and whom of its people it lets in.
//!
//! ```text
//!             verify                       invite            accept
//! Pending -------------> Active    Existing ------> Invited ---------> Active
//!                                           <------
//!                                           decline
//! ```
//!
//! An account whose domain nobody has proven is pending until the MSP proves it; one that others have proven exists, and its
//! owner has to agree. The link stands beside the account's own life: a tenant that is suspended or in retention keeps its
//! link as it is. What ends a link frees the domain for the MSP's next one; the same two may be linked again.
//!
//! Who owns a domain in the whole cell is the tenant's claim, see [`crate::tenant::DOMAIN_CLAIM`].

mod claims;
mod event;
mod groups;
mod stage;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use claims::{INVITATION_CLAIM, MSP_DOMAIN_CLAIM};
pub use event::Event;
pub use groups::{GroupGrant, GroupGrants, GroupRole, TooManyGroups, UnknownGroupRole};
pub use stage::Stage;

use crate::values::{DisplayName, DnsChallenge, DomainName};
use crate::{ClaimChange, Decider, Impossible, LimitChange, TenantId, tenant};

/// A link's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages say what each field is")]
pub enum Link {
    /// No event yet.
    #[default]
    Absent,
    /// The MSP made the account, and has not proven its domain yet.
    Pending { terms: Terms },
    /// The account was there before, and knows nothing of it.
    Existing { terms: Terms },
    /// The account's owner was asked.
    Invited { terms: Terms, invited_at: DateTime<Utc> },
    /// The MSP manages the account. `invited_at`: when its owner was asked, if it had to be.
    Active { terms: Terms, activated_at: DateTime<Utc>, invited_at: Option<DateTime<Utc>> },
    /// Over. The two may be linked again.
    Ended { terms: Terms },
}

/// What a link is made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLink {
    /// Who links.
    pub msp: TenantId,
    /// What is linked.
    pub account: TenantId,
    /// What the MSP calls it.
    pub name: DisplayName,
    /// Its domain.
    pub domain: DomainName,
    /// Which of the MSP's people may do what in it.
    pub groups: GroupGrants,
    /// What the domain's owner publishes.
    pub dns_challenge: DnsChallenge,
}

/// Where the account of a new link comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Made with the link.
    New,
    /// There before: it has proven the domain.
    Existing,
}

/// A link's fields, in every stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the link was made with, with the changes since.
    pub link: NewLink,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When anything about it changed last.
    pub updated_at: DateTime<Utc>,
}

/// What was found where the domain's owner should have published the challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The challenge.
    Found,
    /// Something else, or nothing.
    Missing,
    /// Nobody knows.
    LookupFailed {
        /// Why, for who asked.
        reason: String,
    },
}

/// What somebody wants of a link. `at` is the present, from the service's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the commands say what each field is for, the fields' types what it holds")]
pub enum Command {
    /// Links an account. The MSP must have no other link for that domain, see [`MSP_DOMAIN_CLAIM`].
    Create { link: NewLink, origin: Origin, at: DateTime<Utc> },
    /// Changes what the MSP calls the account and whom it lets in; without a difference nothing happens.
    Update { name: DisplayName, groups: GroupGrants, at: DateTime<Utc> },
    /// Ends the wait of a pending account, if the domain's owner has published the challenge.
    Verify { proof: Proof, at: DateTime<Utc> },
    /// Asks an existing account's owner. One MSP at a time can, see [`INVITATION_CLAIM`].
    Invite { at: DateTime<Utc> },
    /// The owner agrees.
    Accept { at: DateTime<Utc> },
    /// The owner does not.
    Decline { at: DateTime<Utc> },
    /// Lets the account go.
    Unlink { at: DateTime<Utc> },
    /// Gives up an account that the MSP does not manage.
    Withdraw { at: DateTime<Utc> },
    /// Ends the link of an account that is being deleted, so that its domain can be linked anew.
    Close { account: tenant::Stage, at: DateTime<Utc> },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name each field")]
pub enum Error {
    /// There is no such link.
    #[error("the two are not linked")]
    NotLinked,
    /// There is one already.
    #[error("the two are linked already, and the link is {stage}")]
    AlreadyLinked { stage: Stage },
    /// The link's stage does not allow it.
    #[error("the tenant is {stage}, which does not allow this")]
    WrongStage { stage: Stage },
    /// The domain's owner has published something else, or nothing.
    #[error("no TXT record of {domain} holds the challenge")]
    ChallengeMissing { domain: DomainName, dns_challenge: DnsChallenge },
    /// Nobody knows what the domain's owner has published.
    #[error("the TXT records of {domain} can't be looked up: {reason}")]
    LookupFailed { domain: DomainName, dns_challenge: DnsChallenge, reason: String },
    /// The account goes on: its link is ended in other ways.
    #[error("the account is {account}, and its link can't be closed")]
    AccountInUse { account: tenant::Stage },
}

impl Decider for Link {
    const TYPE: &'static str = "link";

    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Error> {
        let stage = self.stage();
        let wrong_stage = Err(Error::WrongStage { stage });
        match self {
            Self::Absent | Self::Ended { .. } => match command {
                Command::Create { link, origin, at } => Ok(vec![Event::Created { link, origin, at }]),
                Command::Update { .. }
                | Command::Verify { .. }
                | Command::Invite { .. }
                | Command::Accept { .. }
                | Command::Decline { .. }
                | Command::Unlink { .. }
                | Command::Withdraw { .. }
                | Command::Close { .. } => Err(Error::NotLinked),
            },
            Self::Pending { terms } => match command {
                Command::Create { .. } => Err(Error::AlreadyLinked { stage }),
                Command::Update { name, groups, at } => Ok(terms.update(name, groups, at)),
                Command::Verify { proof, at } => terms.verify(proof, at),
                Command::Unlink { at } => Ok(vec![Event::Unlinked { at }]),
                Command::Close { account, at } => close(account, at),
                Command::Invite { .. }
                | Command::Accept { .. }
                | Command::Decline { .. }
                | Command::Withdraw { .. } => wrong_stage,
            },
            Self::Existing { .. } => match command {
                Command::Create { .. } => Err(Error::AlreadyLinked { stage }),
                Command::Invite { at } => Ok(vec![Event::Invited { at }]),
                Command::Withdraw { at } => Ok(vec![Event::Withdrawn { at }]),
                Command::Close { account, at } => close(account, at),
                Command::Update { .. }
                | Command::Verify { .. }
                | Command::Accept { .. }
                | Command::Decline { .. }
                | Command::Unlink { .. } => wrong_stage,
            },
            Self::Invited { .. } => match command {
                Command::Create { .. } => Err(Error::AlreadyLinked { stage }),
                // Asked once more: the invitation stands.
                Command::Invite { .. } => Ok(Vec::new()),
                Command::Accept { at } => Ok(vec![Event::Accepted { at }]),
                Command::Decline { at } => Ok(vec![Event::Declined { at }]),
                Command::Withdraw { at } => Ok(vec![Event::Withdrawn { at }]),
                Command::Close { account, at } => close(account, at),
                Command::Update { .. } | Command::Verify { .. } | Command::Unlink { .. } => wrong_stage,
            },
            Self::Active { terms, .. } => match command {
                Command::Create { .. } => Err(Error::AlreadyLinked { stage }),
                Command::Update { name, groups, at } => Ok(terms.update(name, groups, at)),
                // Proven, or agreed on: there is nothing left to prove.
                Command::Verify { .. } => Ok(Vec::new()),
                Command::Unlink { at } => Ok(vec![Event::Unlinked { at }]),
                Command::Close { account, at } => close(account, at),
                Command::Invite { .. }
                | Command::Accept { .. }
                | Command::Decline { .. }
                | Command::Withdraw { .. } => wrong_stage,
            },
        }
    }

    fn evolve(self, event: &Event) -> Result<Self, Impossible> {
        let impossible = Impossible { aggregate: Self::TYPE, stage: self.stage().as_str(), event: event.name() };
        let at = event.at();
        match self {
            Self::Absent | Self::Ended { .. } => match event {
                Event::Created { link, origin, at: _ } => {
                    let terms = Terms { link: link.clone(), created_at: at, updated_at: at };
                    Ok(match origin {
                        Origin::New => Self::Pending { terms },
                        Origin::Existing => Self::Existing { terms },
                    })
                }
                Event::Updated { .. }
                | Event::Verified { .. }
                | Event::Invited { .. }
                | Event::Accepted { .. }
                | Event::Declined { .. }
                | Event::Unlinked { .. }
                | Event::Withdrawn { .. }
                | Event::Closed { .. } => Err(impossible),
            },
            Self::Pending { terms } => match event {
                Event::Updated { name, groups, at: _ } => {
                    Ok(Self::Pending { terms: terms.updated(name.as_ref(), groups.as_ref(), at) })
                }
                Event::Verified { .. } => {
                    Ok(Self::Active { terms: terms.touched(at), activated_at: at, invited_at: None })
                }
                Event::Unlinked { .. } | Event::Closed { .. } => Ok(Self::Ended { terms: terms.touched(at) }),
                Event::Created { .. }
                | Event::Invited { .. }
                | Event::Accepted { .. }
                | Event::Declined { .. }
                | Event::Withdrawn { .. } => Err(impossible),
            },
            Self::Existing { terms } => match event {
                Event::Invited { .. } => Ok(Self::Invited { terms: terms.touched(at), invited_at: at }),
                Event::Withdrawn { .. } | Event::Closed { .. } => Ok(Self::Ended { terms: terms.touched(at) }),
                Event::Created { .. }
                | Event::Updated { .. }
                | Event::Verified { .. }
                | Event::Accepted { .. }
                | Event::Declined { .. }
                | Event::Unlinked { .. } => Err(impossible),
            },
            Self::Invited { terms, invited_at } => match event {
                Event::Accepted { .. } => {
                    Ok(Self::Active { terms: terms.touched(at), activated_at: at, invited_at: Some(invited_at) })
                }
                Event::Declined { .. } => Ok(Self::Existing { terms: terms.touched(at) }),
                Event::Withdrawn { .. } | Event::Closed { .. } => Ok(Self::Ended { terms: terms.touched(at) }),
                Event::Created { .. }
                | Event::Updated { .. }
                | Event::Verified { .. }
                | Event::Invited { .. }
                | Event::Unlinked { .. } => Err(impossible),
            },
            Self::Active { terms, activated_at, invited_at } => match event {
                Event::Updated { name, groups, at: _ } => {
                    let terms = terms.updated(name.as_ref(), groups.as_ref(), at);
                    Ok(Self::Active { terms, activated_at, invited_at })
                }
                Event::Unlinked { .. } | Event::Closed { .. } => Ok(Self::Ended { terms: terms.touched(at) }),
                Event::Created { .. }
                | Event::Verified { .. }
                | Event::Invited { .. }
                | Event::Accepted { .. }
                | Event::Declined { .. }
                | Event::Withdrawn { .. } => Err(impossible),
            },
        }
    }

    fn claims(&self, event: &Event) -> Vec<ClaimChange> {
        claims::of(self, event)
    }

    fn limits(&self, event: &Event) -> Vec<LimitChange> {
        match event {
            Event::Created { .. }
            | Event::Updated { .. }
            | Event::Verified { .. }
            | Event::Invited { .. }
            | Event::Accepted { .. }
            | Event::Declined { .. }
            | Event::Unlinked { .. }
            | Event::Withdrawn { .. }
            | Event::Closed { .. } => Vec::new(),
        }
    }
}

/// Only what is being deleted loses its link without anybody's wish.
fn close(account: tenant::Stage, at: DateTime<Utc>) -> Result<Vec<Event>, Error> {
    match account {
        tenant::Stage::Deprovisioning | tenant::Stage::Deleted => Ok(vec![Event::Closed { at }]),
        tenant::Stage::Unprovisioned | tenant::Stage::Active | tenant::Stage::Suspended => {
            Err(Error::AccountInUse { account })
        }
    }
}

impl Terms {
    fn update(&self, name: DisplayName, groups: GroupGrants, at: DateTime<Utc>) -> Vec<Event> {
        let name = Some(name).filter(|new| *new != self.link.name);
        let groups = Some(groups).filter(|new| *new != self.link.groups);
        if name.is_none() && groups.is_none() {
            return Vec::new();
        }
        vec![Event::Updated { name, groups, at }]
    }

    fn verify(&self, proof: Proof, at: DateTime<Utc>) -> Result<Vec<Event>, Error> {
        let (domain, dns_challenge) = (self.link.domain.clone(), self.link.dns_challenge.clone());
        match proof {
            Proof::Found => Ok(vec![Event::Verified { at }]),
            Proof::Missing => Err(Error::ChallengeMissing { domain, dns_challenge }),
            Proof::LookupFailed { reason } => Err(Error::LookupFailed { domain, dns_challenge, reason }),
        }
    }

    fn updated(mut self, name: Option<&DisplayName>, groups: Option<&GroupGrants>, at: DateTime<Utc>) -> Self {
        self.link.name = name.cloned().unwrap_or(self.link.name);
        self.link.groups = groups.cloned().unwrap_or(self.link.groups);
        self.touched(at)
    }

    fn touched(self, at: DateTime<Utc>) -> Self {
        Self { updated_at: at, ..self }
    }
}
