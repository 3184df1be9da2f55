//! A tenant: its life from provisioning to deletion, its account fields and its usage.
//!
//! ```text
//!              suspend              deprovision                   delete
//! Active ----------------> Suspended -----------> Deprovisioning --------> Deleted
//!        <----------------           <-----------
//!            reinstate                 restore
//! ```
//!
//! An active tenant can be deprovisioned at once. A restored one comes back suspended, so that somebody decides about its
//! people. `delete` is the scheduler's, from the day after the retention on.
//!
//! A tenant has an MSP, is one, or is independent: an active one can leave its MSP, and then join one again.
//!
//! Sources: RP-PAM articles 37 and 38. An MSP is a tenant as well and lives by the same rules, except that it can't be
//! deprovisioned. Who may ask for what is authorization's business: nothing here knows a caller.

mod account;
mod billing;
mod claims;
mod lifecycle;
mod management;
mod usage;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

pub use account::{Account, Changes, NewAccount, TenantKind};
pub use claims::{DOMAIN_CLAIM, SEAT_LIMIT, SHORT_CODE_CLAIM};
pub use lifecycle::{Health, RECONNECT_SECONDS, Stage};
pub use usage::{MonthlyUsage, Usage};

use crate::values::{
    DomainName, EmailAddress, Reason, ResourceLimit, Retention, ShortCode, SubjectId, UsagePeriod, UserId,
};
use crate::{ClaimChange, Decider, Impossible, LimitChange, Personal, TenantId};

/// A tenant's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages say what each field is, the fields' types what it holds")]
pub enum Tenant {
    /// No event yet.
    #[default]
    Unprovisioned,
    /// In use. `reinstated_at`: when it last came back from suspension.
    Active { account: Account, reinstated_at: Option<DateTime<Utc>> },
    /// Its people are locked out and its modules disconnected; everything is kept.
    Suspended { account: Account, since: DateTime<Utc>, reason: Option<Reason> },
    /// Marked for deletion; can be restored up to and including `retention_ends_at`, deleted from `delete_after` on.
    Deprovisioning {
        account: Account,
        since: DateTime<Utc>,
        reason: Option<Reason>,
        retention_ends_at: DateTime<Utc>,
        delete_after: DateTime<Utc>,
    },
    /// Its keys are destroyed. The account's fields that are not personal remain for the bill.
    Deleted { account: Account, deleted_at: DateTime<Utc> },
}

/// What somebody wants of a tenant. `at` is the present, from the service's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the commands say what each field is for, the fields' types what it holds")]
pub enum Command {
    /// Makes the tenant. The short code must be free in the whole cell, see [`SHORT_CODE_CLAIM`].
    Provision { account: NewAccount, at: DateTime<Utc> },
    /// Changes account fields; without a difference nothing happens.
    Update { changes: Changes, at: DateTime<Utc> },
    /// Locks the tenant's people out and keeps everything.
    Suspend { reason: Option<Reason>, at: DateTime<Utc> },
    /// Ends a suspension.
    Reinstate { at: DateTime<Utc> },
    /// Marks the tenant for deletion. `confirm_short_code` must be exactly the stored short code, case included.
    Deprovision { confirm_short_code: String, reason: Option<Reason>, retention: Retention, at: DateTime<Utc> },
    /// Brings a deprovisioned tenant back, suspended.
    Restore { reason: Reason, at: DateTime<Utc> },
    /// Ends the tenant for good. The caller destroys its keys in the same append.
    Delete { release_short_code: bool, at: DateTime<Utc> },
    /// Takes over absolute counts from the data plane. It reports what is there, even above the limit.
    ReportUsage { resources: u32, grants: u32, at: DateTime<Utc> },
    /// Bills one month that is over; every month of the tenant's life, once, in order.
    RecordMonthlyUsage { usage: MonthlyUsage, at: DateTime<Utc> },
    /// Makes a domain the tenant's own. It must be nobody else's in the cell, see [`DOMAIN_CLAIM`].
    ProveDomain { domain: DomainName, at: DateTime<Utc> },
    /// Puts an independent tenant under an MSP, whose address is the one to write to from then on: the one at hand may be that
    /// of an MSP before it. `by`: which owner of it agrees.
    Join { msp: TenantId, by: SubjectId, contact_email: Personal<EmailAddress>, at: DateTime<Utc> },
    /// Lets the tenant live on without its MSP, under an owner. `owner_id`: how events name that person.
    Leave { msp: TenantId, owner: Personal<UserId>, owner_id: SubjectId, at: DateTime<Utc> },
}

/// What happened to a tenant. `at` is when; the wire names are the business's and frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the commands say what each field is for")]
pub enum Event {
    /// The tenant exists.
    #[serde(rename = "tenant.provisioned")]
    Provisioned {
        #[serde(flatten)]
        account: NewAccount,
        at: DateTime<Utc>,
    },
    /// Some account fields have new values; only those are named.
    #[serde(rename = "tenant.updated")]
    Updated {
        #[serde(flatten)]
        changes: Changes,
        at: DateTime<Utc>,
    },
    /// Its people are locked out.
    #[serde(rename = "tenant.suspended")]
    Suspended { reason: Option<Reason>, at: DateTime<Utc> },
    /// Its people are let in again.
    #[serde(rename = "tenant.reinstated")]
    Reinstated { at: DateTime<Utc> },
    /// It is to be deleted; both times were fixed by the retention then configured.
    #[serde(rename = "tenant.deprovisioned")]
    Deprovisioned {
        reason: Option<Reason>,
        retention_ends_at: DateTime<Utc>,
        delete_after: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// It stays after all, suspended.
    #[serde(rename = "tenant.restored")]
    Restored { reason: Reason, at: DateTime<Utc> },
    /// It is gone. `released_short_code`: named if others may use it again.
    #[serde(rename = "tenant.deleted")]
    Deleted { released_short_code: Option<ShortCode>, at: DateTime<Utc> },
    /// The data plane reported other counts than before.
    #[serde(rename = "tenant.usage.reported")]
    UsageReported { resources: u32, grants: u32, at: DateTime<Utc> },
    /// A month was billed.
    #[serde(rename = "tenant.usage.monthly")]
    UsageMonthly {
        #[serde(flatten)]
        usage: MonthlyUsage,
        at: DateTime<Utc>,
    },
    /// A domain is the tenant's own.
    #[serde(rename = "tenant.domain.proven")]
    DomainProven { domain: DomainName, at: DateTime<Utc> },
    /// An MSP manages it from now on. `former_owner` agreed, and is an administrator like others now.
    #[serde(rename = "tenant.joined")]
    Joined {
        msp: TenantId,
        former_owner: SubjectId,
        /// Whom to write to from now on; in older events nobody else than before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact_email: Option<Personal<EmailAddress>>,
        at: DateTime<Utc>,
    },
    /// The MSP manages it no more; it is its owner's.
    #[serde(rename = "tenant.unlinked")]
    Unlinked { msp: TenantId, owner: Personal<UserId>, owner_id: SubjectId, at: DateTime<Utc> },
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name each field")]
pub enum Error {
    /// There is no such tenant.
    #[error("the tenant is not provisioned")]
    NotProvisioned,
    /// The tenant exists already, or did.
    #[error("the tenant is already provisioned and {stage}")]
    AlreadyProvisioned { stage: Stage },
    /// A tenant that is being deleted can't be changed any more.
    #[error("the tenant is {stage} and can't be updated")]
    NotUpdatable { stage: Stage },
    /// Downgrade protection: less than what is in use.
    #[error("a limit of {limit} resources is below the {used} in use")]
    LimitBelowUsage { limit: ResourceLimit, used: u32 },
    /// Only an active tenant can be suspended or report usage.
    #[error("the tenant is not active but {stage}")]
    NotActive { stage: Stage },
    /// Only a suspended tenant can be reinstated.
    #[error("the tenant is not suspended but {stage}")]
    NotSuspended { stage: Stage },
    /// It was deprovisioned before.
    #[error("the tenant is already {stage}")]
    AlreadyDeprovisioned { stage: Stage },
    /// Nothing here could see whether customers would be left without their MSP.
    #[error("the tenant of an MSP can't be deprovisioned")]
    MspNotDeprovisionable,
    /// The short code was not repeated exactly.
    #[error("the confirmation is not the tenant's short code")]
    ConfirmationMismatch,
    /// Only a tenant in retention can be restored or deleted.
    #[error("the tenant is not deprovisioning but {stage}")]
    NotDeprovisioning { stage: Stage },
    /// Too late to restore.
    #[error("the retention ended at {retention_ends_at}")]
    RetentionOver { retention_ends_at: DateTime<Utc> },
    /// Too early to delete.
    #[error("the tenant can't be deleted before {delete_after}")]
    RetentionRunning { delete_after: DateTime<Utc> },
    /// The month was billed before.
    #[error("the usage of {period} is already recorded")]
    UsageAlreadyRecorded { period: UsagePeriod },
    /// Another month has to be billed first, or the tenant did not exist yet.
    #[error("the usage of {expected} comes before that of {period}")]
    PeriodOutOfOrder { period: UsagePeriod, expected: UsagePeriod },
    /// The month is still running.
    #[error("{period} is not over before {ends_at}")]
    PeriodNotOver { period: UsagePeriod, ends_at: DateTime<Utc> },
    /// The tenant did not exist any more.
    #[error("the tenant was deleted at {deleted_at}, before {period}")]
    PeriodAfterDeletion { period: UsagePeriod, deleted_at: DateTime<Utc> },
    /// A tenant has one domain.
    #[error("the tenant's domain is {proven}")]
    OtherDomain { proven: DomainName },
    /// Only who has no MSP can join one.
    #[error("the tenant has an MSP, or is one")]
    NotIndependent,
    /// Nobody lets go what is not theirs.
    #[error("the tenant is not managed by MSP {msp}")]
    NotManagedBy { msp: TenantId },
}

impl Decider for Tenant {
    const TYPE: &'static str = "tenant";

    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Error> {
        let stage = self.stage();
        match self {
            Self::Unprovisioned => match command {
                Command::Provision { account, at } => Ok(vec![Event::Provisioned { account, at }]),
                Command::Update { .. }
                | Command::Suspend { .. }
                | Command::Reinstate { .. }
                | Command::Deprovision { .. }
                | Command::Restore { .. }
                | Command::Delete { .. }
                | Command::ReportUsage { .. }
                | Command::RecordMonthlyUsage { .. }
                | Command::ProveDomain { .. }
                | Command::Join { .. }
                | Command::Leave { .. } => Err(Error::NotProvisioned),
            },
            Self::Active { account, .. } => match command {
                Command::Provision { .. } => Err(Error::AlreadyProvisioned { stage }),
                Command::Update { changes, at } => account.update(changes, at),
                Command::Suspend { reason, at } => Ok(vec![Event::Suspended { reason, at }]),
                Command::Reinstate { .. } => Err(Error::NotSuspended { stage }),
                Command::Deprovision { confirm_short_code, reason, retention, at } => {
                    account.deprovision(&confirm_short_code, reason, retention, at)
                }
                Command::Restore { .. } | Command::Delete { .. } => Err(Error::NotDeprovisioning { stage }),
                Command::ReportUsage { resources, grants, at } => Ok(account.report_usage(resources, grants, at)),
                Command::RecordMonthlyUsage { usage, at } => account.record_month(usage, at),
                Command::ProveDomain { domain, at } => account.prove_domain(domain, at),
                Command::Join { msp, by, contact_email, at } => account.join(msp, by, contact_email, at),
                Command::Leave { msp, owner, owner_id, at } => account.leave(msp, owner, owner_id, at),
            },
            Self::Suspended { account, .. } => match command {
                Command::Provision { .. } => Err(Error::AlreadyProvisioned { stage }),
                Command::Update { changes, at } => account.update(changes, at),
                Command::Suspend { .. }
                | Command::ReportUsage { .. }
                | Command::Join { .. }
                | Command::Leave { .. } => Err(Error::NotActive { stage }),
                Command::Reinstate { at } => Ok(vec![Event::Reinstated { at }]),
                Command::Deprovision { confirm_short_code, reason, retention, at } => {
                    account.deprovision(&confirm_short_code, reason, retention, at)
                }
                Command::Restore { .. } | Command::Delete { .. } => Err(Error::NotDeprovisioning { stage }),
                Command::RecordMonthlyUsage { usage, at } => account.record_month(usage, at),
                Command::ProveDomain { domain, at } => account.prove_domain(domain, at),
            },
            Self::Deprovisioning { account, retention_ends_at, delete_after, .. } => match command {
                Command::Provision { .. } => Err(Error::AlreadyProvisioned { stage }),
                Command::Update { .. } | Command::ProveDomain { .. } => Err(Error::NotUpdatable { stage }),
                Command::Suspend { .. }
                | Command::ReportUsage { .. }
                | Command::Join { .. }
                | Command::Leave { .. } => Err(Error::NotActive { stage }),
                Command::Reinstate { .. } => Err(Error::NotSuspended { stage }),
                Command::Deprovision { .. } => Err(Error::AlreadyDeprovisioned { stage }),
                Command::Restore { reason, at } => lifecycle::restore(*retention_ends_at, reason, at),
                Command::Delete { release_short_code, at } => account.delete(*delete_after, release_short_code, at),
                Command::RecordMonthlyUsage { usage, at } => account.record_month(usage, at),
            },
            Self::Deleted { account, deleted_at } => match command {
                Command::Provision { .. } => Err(Error::AlreadyProvisioned { stage }),
                Command::Update { .. } | Command::ProveDomain { .. } => Err(Error::NotUpdatable { stage }),
                Command::Suspend { .. }
                | Command::ReportUsage { .. }
                | Command::Join { .. }
                | Command::Leave { .. } => Err(Error::NotActive { stage }),
                Command::Reinstate { .. } => Err(Error::NotSuspended { stage }),
                Command::Deprovision { .. } => Err(Error::AlreadyDeprovisioned { stage }),
                Command::Restore { .. } | Command::Delete { .. } => Err(Error::NotDeprovisioning { stage }),
                Command::RecordMonthlyUsage { usage, at } => account.record_last_months(usage, *deleted_at, at),
            },
        }
    }

    #[expect(clippy::too_many_lines, reason = "one table of stages and events, which reads best whole")]
    fn evolve(self, event: &Event) -> Result<Self, Impossible> {
        let impossible = Impossible { aggregate: Self::TYPE, stage: self.stage().as_str(), event: event.name() };
        match self {
            Self::Unprovisioned => match event {
                Event::Provisioned { account, at } => {
                    Ok(Self::Active { account: Account::new(account, *at), reinstated_at: None })
                }
                Event::Updated { .. }
                | Event::Suspended { .. }
                | Event::Reinstated { .. }
                | Event::Deprovisioned { .. }
                | Event::Restored { .. }
                | Event::Deleted { .. }
                | Event::UsageReported { .. }
                | Event::UsageMonthly { .. }
                | Event::DomainProven { .. }
                | Event::Joined { .. }
                | Event::Unlinked { .. } => Err(impossible),
            },
            Self::Active { account, reinstated_at } => match event {
                Event::Updated { changes, .. } => Ok(Self::Active { account: account.updated(changes), reinstated_at }),
                Event::Suspended { reason, at } => Ok(Self::Suspended { account, since: *at, reason: reason.clone() }),
                Event::Deprovisioned { reason, retention_ends_at, delete_after, at } => Ok(Self::Deprovisioning {
                    account,
                    since: *at,
                    reason: reason.clone(),
                    retention_ends_at: *retention_ends_at,
                    delete_after: *delete_after,
                }),
                Event::UsageReported { resources, grants, .. } => {
                    Ok(Self::Active { account: account.reported(*resources, *grants), reinstated_at })
                }
                Event::UsageMonthly { usage, .. } => {
                    Ok(Self::Active { account: account.billed(usage).ok_or(impossible)?, reinstated_at })
                }
                Event::DomainProven { domain, .. } => {
                    Ok(Self::Active { account: account.with_domain(domain), reinstated_at })
                }
                Event::Joined { msp, contact_email, .. } => {
                    Ok(Self::Active { account: account.joined(*msp, contact_email.as_ref()), reinstated_at })
                }
                Event::Unlinked { owner_id, .. } => {
                    Ok(Self::Active { account: account.unlinked(owner_id), reinstated_at })
                }
                Event::Provisioned { .. }
                | Event::Reinstated { .. }
                | Event::Restored { .. }
                | Event::Deleted { .. } => Err(impossible),
            },
            Self::Suspended { account, since, reason } => match event {
                Event::Updated { changes, .. } => {
                    Ok(Self::Suspended { account: account.updated(changes), since, reason })
                }
                Event::Reinstated { at } => Ok(Self::Active { account, reinstated_at: Some(*at) }),
                Event::Deprovisioned { reason, retention_ends_at, delete_after, at } => Ok(Self::Deprovisioning {
                    account,
                    since: *at,
                    reason: reason.clone(),
                    retention_ends_at: *retention_ends_at,
                    delete_after: *delete_after,
                }),
                Event::UsageMonthly { usage, .. } => {
                    Ok(Self::Suspended { account: account.billed(usage).ok_or(impossible)?, since, reason })
                }
                Event::DomainProven { domain, .. } => {
                    Ok(Self::Suspended { account: account.with_domain(domain), since, reason })
                }
                Event::Provisioned { .. }
                | Event::Suspended { .. }
                | Event::Restored { .. }
                | Event::Deleted { .. }
                | Event::UsageReported { .. }
                | Event::Joined { .. }
                | Event::Unlinked { .. } => Err(impossible),
            },
            Self::Deprovisioning { account, since, reason, retention_ends_at, delete_after } => match event {
                Event::Restored { reason, at } => {
                    Ok(Self::Suspended { account, since: *at, reason: Some(reason.clone()) })
                }
                Event::Deleted { at, .. } => Ok(Self::Deleted { account, deleted_at: *at }),
                Event::UsageMonthly { usage, .. } => {
                    let account = account.billed(usage).ok_or(impossible)?;
                    Ok(Self::Deprovisioning { account, since, reason, retention_ends_at, delete_after })
                }
                Event::Provisioned { .. }
                | Event::Updated { .. }
                | Event::Suspended { .. }
                | Event::Reinstated { .. }
                | Event::Deprovisioned { .. }
                | Event::UsageReported { .. }
                | Event::DomainProven { .. }
                | Event::Joined { .. }
                | Event::Unlinked { .. } => Err(impossible),
            },
            Self::Deleted { account, deleted_at } => match event {
                Event::UsageMonthly { usage, .. } => {
                    Ok(Self::Deleted { account: account.billed(usage).ok_or(impossible)?, deleted_at })
                }
                Event::Provisioned { .. }
                | Event::Updated { .. }
                | Event::Suspended { .. }
                | Event::Reinstated { .. }
                | Event::Deprovisioned { .. }
                | Event::Restored { .. }
                | Event::Deleted { .. }
                | Event::UsageReported { .. }
                | Event::DomainProven { .. }
                | Event::Joined { .. }
                | Event::Unlinked { .. } => Err(impossible),
            },
        }
    }

    fn claims(&self, event: &Event) -> Vec<ClaimChange> {
        event.claims(self.account())
    }

    fn limits(&self, event: &Event) -> Vec<LimitChange> {
        self.account().map_or_else(Vec::new, |account| event.limits(account.tenant_id))
    }
}

impl Event {
    /// The event's wire name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Provisioned { .. } => "tenant.provisioned",
            Self::Updated { .. } => "tenant.updated",
            Self::Suspended { .. } => "tenant.suspended",
            Self::Reinstated { .. } => "tenant.reinstated",
            Self::Deprovisioned { .. } => "tenant.deprovisioned",
            Self::Restored { .. } => "tenant.restored",
            Self::Deleted { .. } => "tenant.deleted",
            Self::UsageReported { .. } => "tenant.usage.reported",
            Self::UsageMonthly { .. } => "tenant.usage.monthly",
            Self::DomainProven { .. } => "tenant.domain.proven",
            Self::Joined { .. } => "tenant.joined",
            Self::Unlinked { .. } => "tenant.unlinked",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Provisioned { at, .. }
            | Self::Updated { at, .. }
            | Self::Suspended { at, .. }
            | Self::Reinstated { at }
            | Self::Deprovisioned { at, .. }
            | Self::Restored { at, .. }
            | Self::Deleted { at, .. }
            | Self::UsageReported { at, .. }
            | Self::UsageMonthly { at, .. }
            | Self::DomainProven { at, .. }
            | Self::Joined { at, .. }
            | Self::Unlinked { at, .. } => *at,
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
