//! What a tenant is called and may hold.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Error, Event, Usage};
use crate::values::{DisplayName, DomainName, EmailAddress, Modules, ResourceLimit, SeatLimit, ShortCode, SubjectId};
use crate::{Personal, TenantId};

/// Which place a tenant has in the tree of tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TenantKind {
    /// A managed service provider, the root of its customers.
    Msp,
    /// A customer.
    Customer {
        /// The provider that manages it.
        msp: TenantId,
    },
    /// Nobody's customer: it left its MSP.
    Independent,
}

impl TenantKind {
    /// The root of the tree that a tenant of this kind stands in: its MSP, or itself.
    #[must_use]
    pub const fn root(self, tenant: TenantId) -> TenantId {
        match self {
            Self::Msp | Self::Independent => tenant,
            Self::Customer { msp } => msp,
        }
    }
}

/// What a tenant is provisioned with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccount {
    /// The tenant itself; names its stream, too.
    pub tenant_id: TenantId,
    /// Its place in the tree.
    pub kind: TenantKind,
    /// Must be free in the whole cell.
    pub short_code: ShortCode,
    /// The organisation's name.
    pub display_name: DisplayName,
    /// Whom to write to.
    pub contact_email: Personal<EmailAddress>,
    /// Most users.
    pub max_users: SeatLimit,
    /// Most resources.
    pub max_resources: ResourceLimit,
    /// Enabled modules.
    pub modules: Modules,
}

/// A tenant's fields, the same in every stage from provisioning on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The tenant itself.
    pub tenant_id: TenantId,
    /// Its place in the tree.
    pub kind: TenantKind,
    /// Unique in the cell, and never changed.
    pub short_code: ShortCode,
    /// The organisation's name.
    pub display_name: DisplayName,
    /// Whom to write to.
    pub contact_email: Personal<EmailAddress>,
    /// Most users; enforced by the counted limit [`super::SEAT_LIMIT`].
    pub max_users: SeatLimit,
    /// Most resources; enforced by the data plane.
    pub max_resources: ResourceLimit,
    /// Enabled modules.
    pub modules: Modules,
    /// When it was provisioned.
    pub created_at: DateTime<Utc>,
    /// What it holds, and up to which month that was billed.
    pub usage: Usage,
    /// The domain that it was proven to own, see [`super::DOMAIN_CLAIM`].
    pub domain: Option<DomainName>,
    /// Whom the MSP named that let it go; nobody while it has an MSP.
    pub owner: Option<SubjectId>,
}

/// New values for some of the account's fields; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// The organisation's new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<DisplayName>,
    /// Whom to write to from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_email: Option<Personal<EmailAddress>>,
    /// Most users; not below the users that there are, which the counted limit sees to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_users: Option<SeatLimit>,
    /// Most resources; not below the resources last reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_resources: Option<ResourceLimit>,
    /// The whole new set of modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<Modules>,
}

impl Account {
    pub(super) fn new(account: &NewAccount, at: DateTime<Utc>) -> Self {
        let NewAccount { tenant_id, kind, short_code, display_name, contact_email, max_users, max_resources, modules } =
            account.clone();
        Self {
            tenant_id,
            kind,
            short_code,
            display_name,
            contact_email,
            max_users,
            max_resources,
            modules,
            created_at: at,
            usage: Usage::starting(at),
            domain: None,
            owner: None,
        }
    }

    /// The name of the tenant's logical data space, for example `rppam_tenant_acme_corp` (RP-PAM article 38).
    #[must_use]
    pub fn database_name(&self) -> String {
        format!("rppam_tenant_{}", self.short_code.as_str().replace('-', "_"))
    }

    pub(super) fn update(&self, changes: Changes, at: DateTime<Utc>) -> Result<Vec<Event>, Error> {
        let changes = changes.against(self);
        if let Some(limit) = changes.max_resources
            && limit.get() < self.usage.resources
        {
            return Err(Error::LimitBelowUsage { limit, used: self.usage.resources });
        }
        if changes == Changes::default() {
            return Ok(Vec::new());
        }
        Ok(vec![Event::Updated { changes, at }])
    }

    pub(super) fn updated(mut self, changes: &Changes) -> Self {
        let Changes { display_name, contact_email, max_users, max_resources, modules } = changes.clone();
        self.display_name = display_name.unwrap_or(self.display_name);
        self.contact_email = contact_email.unwrap_or(self.contact_email);
        self.max_users = max_users.unwrap_or(self.max_users);
        self.max_resources = max_resources.unwrap_or(self.max_resources);
        self.modules = modules.unwrap_or(self.modules);
        self
    }
}

impl Changes {
    /// Only what differs from the account.
    fn against(self, account: &Account) -> Self {
        Self {
            display_name: self.display_name.filter(|new| *new != account.display_name),
            contact_email: self.contact_email.filter(|new| *new != account.contact_email),
            max_users: self.max_users.filter(|new| *new != account.max_users),
            max_resources: self.max_resources.filter(|new| *new != account.max_resources),
            modules: self.modules.filter(|new| *new != account.modules),
        }
    }
}
