//! A person who administers one tenant: invited, accepted, removed.
//!
//! An address is unique within a tenant, which a claim sees to; the seats of a tenant are counted where people accept.
//! That a tenant's stage allows a command is the caller's guard: it names the tenant's stream as unchanged in the append.

use std::fmt;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::tenant::SEAT_LIMIT;
use crate::values::{EmailAddress, PersonName, SeatLimit};
use crate::{ClaimChange, ClaimKey, Decider, Impossible, LimitChange, Personal, TenantId};

/// Scope of the claim on an e-mail address within a tenant; the key is `tenant id/address in lower case`, blinded.
pub const EMAIL_CLAIM: &str = "administrator.email";

/// What an administrator may do in its tenant.
///
/// The model's role `msp-admin` is a prime administrator of an MSP's own tenant, and `support` acts by delegation: neither
/// is given to an administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdministratorRole {
    /// Everything in its tenant; a tenant's first administrator.
    PrimeAdmin,
    /// Everything but other administrators.
    Admin,
    /// The front office's part.
    OfficeAdmin,
    /// Passphrases only.
    DpskAdmin,
    /// Templates only.
    TemplatesAdmin,
    /// Reports only.
    ReportsAdmin,
    /// Sees, changes nothing.
    ReadOnly,
    /// Audit history and proofs only.
    Auditor,
    /// Billing events and export only.
    Billing,
}

/// Who the administrator is, in every stage from the invitation on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The tenant administered.
    pub tenant_id: TenantId,
    /// The person's name.
    pub display_name: Personal<PersonName>,
    /// Where the invitation goes.
    pub email: Personal<EmailAddress>,
    /// What the person may do.
    pub role: AdministratorRole,
    /// When the person was invited.
    pub invited_at: DateTime<Utc>,
}

/// An administrator's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages say what each field is")]
pub enum Administrator {
    /// No event yet.
    #[default]
    Uninvited,
    /// Asked, and not yet answered; takes no seat.
    Invited { profile: Profile },
    /// Accepted; takes a seat.
    Active { profile: Profile, accepted_at: DateTime<Utc> },
    /// Gone for good. The same person is invited as a new administrator.
    Removed { profile: Profile, removed_at: DateTime<Utc> },
}

/// Where an administrator is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages of `Administrator`, without their fields")]
pub enum Stage {
    Uninvited,
    Invited,
    Active,
    Removed,
}

/// What somebody wants of an administrator. `at` is the present, from the service's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the commands say what each field is for, the fields' types what it holds")]
pub enum Command {
    /// Asks a person to administer the tenant. The address must be free there, see [`EMAIL_CLAIM`].
    Invite {
        tenant_id: TenantId,
        display_name: Personal<PersonName>,
        email: Personal<EmailAddress>,
        role: AdministratorRole,
        at: DateTime<Utc>,
    },
    /// The person accepts, and takes one of the tenant's `max_users` seats.
    Accept { max_users: SeatLimit, at: DateTime<Utc> },
    /// Takes the invitation or the rights back. Seat and address are free again.
    Remove { at: DateTime<Utc> },
}

/// What happened to an administrator. `at` is when; the wire names are the business's and frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the commands document the fields")]
pub enum Event {
    /// The person was asked.
    #[serde(rename = "administrator.invited")]
    Invited {
        tenant_id: TenantId,
        display_name: Personal<PersonName>,
        email: Personal<EmailAddress>,
        role: AdministratorRole,
        at: DateTime<Utc>,
    },
    /// The person accepted, under the seat limit of that moment.
    #[serde(rename = "administrator.accepted")]
    Accepted { max_users: SeatLimit, at: DateTime<Utc> },
    /// The person is no administrator any more.
    #[serde(rename = "administrator.removed")]
    Removed { at: DateTime<Utc> },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name each field")]
pub enum Error {
    /// There is no such administrator.
    #[error("the administrator was never invited")]
    NeverInvited,
    /// Invited before; a removed administrator does not come back under the same id.
    #[error("the administrator was already invited and is {stage}")]
    AlreadyInvited { stage: Stage },
    /// Accepted before.
    #[error("the invitation is already accepted")]
    AlreadyAccepted,
    /// Removed before.
    #[error("the administrator is removed")]
    AlreadyRemoved,
}

impl Stage {
    /// The stage's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uninvited => "uninvited",
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Administrator {
    /// The stage, without its fields.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Uninvited => Stage::Uninvited,
            Self::Invited { .. } => Stage::Invited,
            Self::Active { .. } => Stage::Active,
            Self::Removed { .. } => Stage::Removed,
        }
    }

    /// Who it is, from the invitation on.
    #[must_use]
    pub const fn profile(&self) -> Option<&Profile> {
        match self {
            Self::Uninvited => None,
            Self::Invited { profile } | Self::Active { profile, .. } | Self::Removed { profile, .. } => Some(profile),
        }
    }
}

impl Decider for Administrator {
    const TYPE: &'static str = "administrator";

    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Error> {
        let stage = self.stage();
        match self {
            Self::Uninvited => match command {
                Command::Invite { tenant_id, display_name, email, role, at } => {
                    Ok(vec![Event::Invited { tenant_id, display_name, email, role, at }])
                }
                Command::Accept { .. } | Command::Remove { .. } => Err(Error::NeverInvited),
            },
            Self::Invited { .. } => match command {
                Command::Invite { .. } => Err(Error::AlreadyInvited { stage }),
                Command::Accept { max_users, at } => Ok(vec![Event::Accepted { max_users, at }]),
                Command::Remove { at } => Ok(vec![Event::Removed { at }]),
            },
            Self::Active { .. } => match command {
                Command::Invite { .. } => Err(Error::AlreadyInvited { stage }),
                Command::Accept { .. } => Err(Error::AlreadyAccepted),
                Command::Remove { at } => Ok(vec![Event::Removed { at }]),
            },
            Self::Removed { .. } => match command {
                Command::Invite { .. } => Err(Error::AlreadyInvited { stage }),
                Command::Accept { .. } | Command::Remove { .. } => Err(Error::AlreadyRemoved),
            },
        }
    }

    fn evolve(self, event: &Event) -> Result<Self, Impossible> {
        let impossible = Impossible { aggregate: Self::TYPE, stage: self.stage().as_str(), event: event.name() };
        match self {
            Self::Uninvited => match event {
                Event::Invited { tenant_id, display_name, email, role, at } => {
                    let profile = Profile {
                        tenant_id: *tenant_id,
                        display_name: display_name.clone(),
                        email: email.clone(),
                        role: *role,
                        invited_at: *at,
                    };
                    Ok(Self::Invited { profile })
                }
                Event::Accepted { .. } | Event::Removed { .. } => Err(impossible),
            },
            Self::Invited { profile } => match event {
                Event::Accepted { at, .. } => Ok(Self::Active { profile, accepted_at: *at }),
                Event::Removed { at } => Ok(Self::Removed { profile, removed_at: *at }),
                Event::Invited { .. } => Err(impossible),
            },
            Self::Active { profile, .. } => match event {
                Event::Removed { at } => Ok(Self::Removed { profile, removed_at: *at }),
                Event::Invited { .. } | Event::Accepted { .. } => Err(impossible),
            },
            Self::Removed { .. } => match event {
                Event::Invited { .. } | Event::Accepted { .. } | Event::Removed { .. } => Err(impossible),
            },
        }
    }

    fn claims(&self, event: &Event) -> Vec<ClaimChange> {
        let scope = EMAIL_CLAIM;
        match event {
            Event::Invited { tenant_id, email, .. } => {
                email_key(*tenant_id, email).map(|key| ClaimChange::Take { scope, key }).into_iter().collect()
            }
            Event::Accepted { .. } => Vec::new(),
            Event::Removed { .. } => self
                .profile()
                .and_then(|profile| email_key(profile.tenant_id, &profile.email))
                .map(|key| ClaimChange::Release { scope, key })
                .into_iter()
                .collect(),
        }
    }

    fn limits(&self, event: &Event) -> Vec<LimitChange> {
        let seats = |delta, max: Option<SeatLimit>| {
            let change = |profile: &Profile| LimitChange {
                scope: SEAT_LIMIT,
                key: profile.tenant_id.to_string(),
                delta,
                max: max.map(|max| max.get().into()),
            };
            self.profile().map(change).into_iter().collect()
        };
        match event {
            Event::Accepted { max_users, .. } => seats(1, Some(*max_users)),
            Event::Removed { .. } => match self {
                Self::Active { .. } => seats(-1, None),
                Self::Uninvited | Self::Invited { .. } | Self::Removed { .. } => Vec::new(),
            },
            Event::Invited { .. } => Vec::new(),
        }
    }
}

/// `None` when the address was erased with its tenant: whose claims then no longer matter to anybody.
fn email_key(tenant_id: TenantId, email: &Personal<EmailAddress>) -> Option<ClaimKey> {
    email.known().map(|email| ClaimKey::Personal(format!("{tenant_id}/{}", email.canonical())))
}

impl Event {
    /// The event's wire name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Invited { .. } => "administrator.invited",
            Self::Accepted { .. } => "administrator.accepted",
            Self::Removed { .. } => "administrator.removed",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Invited { at, .. } | Self::Accepted { at, .. } | Self::Removed { at } => *at,
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
