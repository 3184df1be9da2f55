//! A personal access token: made for one tenant with a role and groups, used until it expires or is revoked.
//!
//! Only a hash of the token is known here; that no two tokens share one, a claim sees to. Nobody hands on more than they
//! hold. Whether a token's time is over is judged by whoever meets it: nothing happens at that moment. Its uses stand in
//! a stream of their own, see [`last_use`].

pub mod last_use;

use std::fmt;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::values::{GroupId, Groups, PrincipalId, TokenHash, TokenLifetime, TokenName};
use crate::{ClaimChange, ClaimKey, Decider, Impossible, LimitChange, Role, TenantId, TenantKind};

pub use last_use::LastUse;

/// Scope of the claim on a token's hash; never given back, so that no token comes to life twice.
pub const HASH_CLAIM: &str = "access_token.hash";

/// How many tokens one maker may have that are alive. A slip in a script that makes one for each of its runs shows early, and
/// every instance can keep them all in memory.
pub const MOST_ALIVE: usize = 1_000;

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// The tenant that the token acts in.
    pub tenant_id: TenantId,
    /// That tenant's place in the tree.
    pub kind: TenantKind,
    /// What it is for.
    pub name: TokenName,
    /// What its bearer is in the tenant.
    pub role: Role,
    /// The groups that its bearer is in.
    pub groups: Groups,
    /// Of the whole token.
    pub hash: TokenHash,
    /// For how long.
    pub lifetime: TokenLifetime,
}

/// Who asks for a token: it gets nothing that the granter does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granter {
    /// By id.
    pub id: PrincipalId,
    /// What the granter is in its tenant.
    pub role: Role,
    /// The granter's own tenant.
    pub tenant_id: TenantId,
    /// That tenant's place in the tree.
    pub kind: TenantKind,
    /// The groups that the granter is in.
    pub groups: Groups,
    /// The end of the access token that the granter asks with, if it is one: none made with it lives longer.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// How many tokens are alive that the granter made, or that were made with one of these; if the granter asks with a token,
    /// those of whoever made it. Of several that are made at the same time none may be counted.
    pub tokens_alive: usize,
}

/// What a token stands for, from its making on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The tenant that it acts in.
    pub tenant_id: TenantId,
    /// That tenant's place in the tree when the token was made.
    pub kind: TenantKind,
    /// What it is for.
    pub name: TokenName,
    /// What its bearer is in the tenant.
    pub role: Role,
    /// The groups that its bearer is in.
    pub groups: Groups,
    /// Of the whole token.
    pub hash: TokenHash,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Valid before then.
    pub expires_at: DateTime<Utc>,
}

/// A token's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages say what each field is")]
pub enum AccessToken {
    /// No event yet.
    #[default]
    Unmade,
    /// Made, and good until it expires.
    Live { details: Details },
    /// Taken back for good.
    Revoked { details: Details, revoked_at: DateTime<Utc> },
}

/// Where a token is in its life. That its time is over is no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages of `AccessToken`, without their fields")]
pub enum Stage {
    Unmade,
    Live,
    Revoked,
}

/// What somebody wants of a token. `at` is the present, from the service's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the commands say what each field is for, the fields' types what it holds")]
pub enum Command {
    /// Makes a token of what the granter holds. Its hash must be new, see [`HASH_CLAIM`].
    Create { token: Box<NewToken>, granter: Box<Granter>, at: DateTime<Utc> },
    /// Takes it back for good. Once more changes nothing.
    Revoke { at: DateTime<Utc> },
}

/// What happened to a token. `at` is when; the wire names are the business's and frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "`NewToken` and `Details` document the fields")]
pub enum Event {
    /// The token was made.
    #[serde(rename = "access_token.created")]
    Created {
        tenant_id: TenantId,
        kind: TenantKind,
        name: TokenName,
        role: Role,
        groups: Groups,
        hash: TokenHash,
        created_by: PrincipalId,
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// The token is good for nothing any more.
    #[serde(rename = "access_token.revoked")]
    Revoked { at: DateTime<Utc> },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name each field")]
pub enum Error {
    /// There is no such token.
    #[error("the token was never made")]
    NeverMade,
    /// Made before.
    #[error("the token was already made and is {stage}")]
    AlreadyMade { stage: Stage },
    /// The tenant is not the granter's own, nor a customer that the granter administers.
    #[error("the tenant is out of the granter's reach")]
    TenantOutOfReach,
    /// The role is above the granter's.
    #[error("who is {granter} can't make a token of the role {role}")]
    RoleNotHeld { granter: Role, role: Role },
    /// Nobody is that in a customer.
    #[error("the role {role} belongs into an MSP's own tenant")]
    RoleOfMsps { role: Role },
    /// A group that the granter is not in.
    #[error("the group {group} is not one of the granter's")]
    GroupNotHeld { group: GroupId },
    /// It would outlive the token that it was asked for with.
    #[error("a token made with an access token ends no later than that one, at {end}")]
    OutlivesGranter { end: DateTime<Utc> },
    /// See [`MOST_ALIVE`].
    #[error("{MOST_ALIVE} tokens of the same maker are alive, which are all that there may be: revoke some first")]
    TooMany,
}

impl Stage {
    /// The stage's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unmade => "unmade",
            Self::Live => "live",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Granter {
    /// Whether the granter runs a whole MSP, and so appoints everybody in its tree.
    fn is_msp_admin(&self) -> bool {
        self.role == Role::MspAdmin && self.kind == TenantKind::Msp
    }

    fn grant(&self, token: &NewToken, at: DateTime<Utc>) -> Result<Event, Error> {
        let NewToken { tenant_id, kind, name, role, groups, hash, lifetime } = token;
        let is_own_customer = self.is_msp_admin() && *kind == TenantKind::Customer { msp: self.tenant_id };
        if *tenant_id != self.tenant_id && !is_own_customer {
            return Err(Error::TenantOutOfReach);
        }
        if !self.holds(*role) {
            return Err(Error::RoleNotHeld { granter: self.role, role: *role });
        }
        if role.is_for_msps() && *kind != TenantKind::Msp {
            return Err(Error::RoleOfMsps { role: *role });
        }
        let is_held = |group: &&GroupId| self.is_msp_admin() || self.groups.contains(group);
        if let Some(group) = groups.iter().find(|group| !is_held(group)) {
            return Err(Error::GroupNotHeld { group: group.clone() });
        }
        let expires_at = lifetime.ends_at(at);
        if let Some(end) = self.token_expires_at.filter(|end| *end < expires_at) {
            return Err(Error::OutlivesGranter { end });
        }
        if self.tokens_alive >= MOST_ALIVE {
            return Err(Error::TooMany);
        }
        Ok(Event::Created {
            tenant_id: *tenant_id,
            kind: *kind,
            name: name.clone(),
            role: *role,
            groups: groups.clone(),
            hash: *hash,
            created_by: self.id.clone(),
            expires_at,
            at,
        })
    }

    /// Outside of an MSP's own tenant an MSP's administrator is nobody's superior.
    fn holds(&self, role: Role) -> bool {
        self.role == role || (self.role.holds(role) && (self.role != Role::MspAdmin || self.is_msp_admin()))
    }
}

impl AccessToken {
    /// The stage, without its fields.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Unmade => Stage::Unmade,
            Self::Live { .. } => Stage::Live,
            Self::Revoked { .. } => Stage::Revoked,
        }
    }

    /// What it stands for, from its making on.
    #[must_use]
    pub const fn details(&self) -> Option<&Details> {
        match self {
            Self::Unmade => None,
            Self::Live { details } | Self::Revoked { details, .. } => Some(details),
        }
    }
}

impl Decider for AccessToken {
    const TYPE: &'static str = "access_token";

    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Error> {
        let stage = self.stage();
        match self {
            Self::Unmade => match command {
                Command::Create { token, granter, at } => Ok(vec![granter.grant(&token, at)?]),
                Command::Revoke { .. } => Err(Error::NeverMade),
            },
            Self::Live { .. } => match command {
                Command::Create { .. } => Err(Error::AlreadyMade { stage }),
                Command::Revoke { at } => Ok(vec![Event::Revoked { at }]),
            },
            Self::Revoked { .. } => match command {
                Command::Create { .. } => Err(Error::AlreadyMade { stage }),
                Command::Revoke { .. } => Ok(Vec::new()),
            },
        }
    }

    fn evolve(self, event: &Event) -> Result<Self, Impossible> {
        let impossible = Impossible { aggregate: Self::TYPE, stage: self.stage().as_str(), event: event.name() };
        match self {
            Self::Unmade => match event {
                Event::Created { tenant_id, kind, name, role, groups, hash, created_by, expires_at, at } => {
                    let details = Details {
                        tenant_id: *tenant_id,
                        kind: *kind,
                        name: name.clone(),
                        role: *role,
                        groups: groups.clone(),
                        hash: *hash,
                        created_by: created_by.clone(),
                        created_at: *at,
                        expires_at: *expires_at,
                    };
                    Ok(Self::Live { details })
                }
                Event::Revoked { .. } => Err(impossible),
            },
            Self::Live { details } => match event {
                Event::Revoked { at } => Ok(Self::Revoked { details, revoked_at: *at }),
                Event::Created { .. } => Err(impossible),
            },
            Self::Revoked { .. } => match event {
                Event::Created { .. } | Event::Revoked { .. } => Err(impossible),
            },
        }
    }

    fn claims(&self, event: &Event) -> Vec<ClaimChange> {
        match event {
            Event::Created { hash, .. } => {
                vec![ClaimChange::Take { scope: HASH_CLAIM, key: ClaimKey::Plain(hash.to_string()) }]
            }
            Event::Revoked { .. } => Vec::new(),
        }
    }

    fn limits(&self, event: &Event) -> Vec<LimitChange> {
        match event {
            Event::Created { .. } | Event::Revoked { .. } => Vec::new(),
        }
    }
}

impl Event {
    /// The event's wire name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "access_token.created",
            Self::Revoked { .. } => "access_token.revoked",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Created { at, .. } | Self::Revoked { at } => *at,
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
