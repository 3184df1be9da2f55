//! Authorization: Cedar policies that people can read, asked through a memory of their answers.

mod engine;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

use tenure_aggregates::link::GroupRole;
use tenure_aggregates::{Role, TenantId, TenantKind};

use super::principal::Principal;
use engine::Engine;

pub use engine::PolicyError;

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:literal,)*) => {
        /// What somebody wants to do, as the policies name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// The action's name in the policies.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)*
                }
            }
        }
    };
}

actions! {
    /// Make a customer of an MSP. Resource: the MSP.
    ProvisionTenant = "provisionTenant",
    /// List an MSP's customers. Resource: the MSP.
    ListTenants = "listTenants",
    /// See a tenant's metadata.
    ReadTenant = "readTenant",
    /// Change a tenant's account fields.
    UpdateTenant = "updateTenant",
    /// Lock a tenant's people out.
    SuspendTenant = "suspendTenant",
    /// End a suspension.
    ReinstateTenant = "reinstateTenant",
    /// Mark a tenant for deletion.
    DeprovisionTenant = "deprovisionTenant",
    /// Bring a deprovisioned tenant back.
    RestoreTenant = "restoreTenant",
    /// Report a tenant's counts from the data plane.
    ReportUsage = "reportUsage",
    /// Read billing events, of a tenant or of everything below an MSP.
    ReadBilling = "readBilling",
    /// Make a personal access token that acts in a tenant.
    CreateToken = "createToken",
    /// See tokens of one's own. Resource: the own tenant.
    ListTokens = "listTokens",
    /// Take tokens of one's own back. Resource: the own tenant.
    RevokeToken = "revokeToken",
    /// See and take back everybody's tokens that act in a tenant.
    AdministerTokens = "administerTokens",
    /// Ask who one is. Resource: the own tenant.
    WhoAmI = "whoAmI",
    /// Link an account, new or existing. Resource of this and the other actions on links: the MSP; for its groups the
    /// account.
    CreateLink = "createLink",
    /// See links.
    ReadLink = "readLink",
    /// Change what an account is called and whom a link lets in.
    UpdateLink = "updateLink",
    /// Give up a link, and with it an account that the MSP manages.
    RemoveLink = "removeLink",
    /// Let an account go.
    UnlinkAccount = "unlinkAccount",
    /// Prove an account's domain.
    VerifyDomain = "verifyDomain",
    /// Choose what an account pays for.
    ChangeSubscription = "changeSubscription",
    /// Ask an existing account's owner.
    InviteAccount = "inviteAccount",
    /// Answer an MSP that asked. Resource: the own tenant.
    AnswerInvitation = "answerInvitation",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tenant as a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Which tenant.
    pub tenant: TenantId,
    /// Its place in the tree.
    pub kind: TenantKind,
}

/// Where a resource stands to the person's tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Own,
    Customer,
    ForeignMsp,
    ForeignCustomer,
}

impl Relation {
    const COUNT: usize = 4;

    fn of(principal: &Principal, resource: Resource) -> Self {
        match resource.kind {
            _ if resource.tenant == principal.tenant => Self::Own,
            TenantKind::Customer { msp } if msp == principal.tenant => Self::Customer,
            TenantKind::Customer { .. } | TenantKind::Independent => Self::ForeignCustomer,
            TenantKind::Msp => Self::ForeignMsp,
        }
    }
}

/// Asks the policies.
///
/// They name no tenant, so an answer depends on nothing but the role, the kind of the person's tenant, the action and the
/// [`Relation`]. Each combination is asked of Cedar once and remembered.
pub struct Authorizer {
    engine: Engine,
    remembered: Vec<OnceLock<bool>>,
    by_group: Vec<OnceLock<bool>>,
}

impl Authorizer {
    /// Reads the policies and checks them against their schema.
    ///
    /// # Errors
    /// A policy or the schema is wrong: a defect of the release.
    pub fn new() -> Result<Self, PolicyError> {
        let unknown = |combinations: usize| (0..combinations).map(|_| OnceLock::new()).collect();
        Ok(Self {
            engine: Engine::new()?,
            remembered: unknown(Role::ALL.len() * 2 * Action::ALL.len() * Relation::COUNT),
            by_group: unknown(GroupRole::ALL.len() * Action::ALL.len()),
        })
    }

    /// Whether people of an MSP may do this to an account that it manages, whatever their own role, because of the highest
    /// role that a group gives them there.
    #[must_use]
    pub fn group_allows(&self, role: GroupRole, action: Action) -> bool {
        let index = role as usize * Action::ALL.len() + action as usize;
        match self.by_group.get(index) {
            Some(answer) => *answer.get_or_init(|| self.engine.decide_for_group(role, action)),
            None => self.engine.decide_for_group(role, action),
        }
    }

    /// Whether the principal may do this to the tenant. Where it may do it to tenants of its own ([`Self::may_ever`]),
    /// the answer to a "no" is 404: others' tenants do not exist for it.
    #[must_use]
    pub fn allows(&self, principal: &Principal, action: Action, resource: Resource) -> bool {
        let relation = Relation::of(principal, resource);
        let is_msp = usize::from(principal.kind == TenantKind::Msp);
        let index = ((principal.role as usize * 2 + is_msp) * Action::ALL.len() + action as usize) * Relation::COUNT
            + relation as usize;
        match self.remembered.get(index) {
            Some(answer) => *answer.get_or_init(|| self.engine.decide(principal, action, resource)),
            None => self.engine.decide(principal, action, resource),
        }
    }

    /// Whether the principal may do this to its own tenant or to some customer of it. The answer to a "no" is 403.
    #[must_use]
    pub fn may_ever(&self, principal: &Principal, action: Action) -> bool {
        let own = Resource { tenant: principal.tenant, kind: principal.kind };
        self.allows(principal, action, own) || self.allows_any_customer(principal, action)
    }

    /// Whether the principal may do this to whichever customer of its MSP.
    #[must_use]
    pub fn allows_any_customer(&self, principal: &Principal, action: Action) -> bool {
        let kind = TenantKind::Customer { msp: principal.tenant };
        let customer = Resource { tenant: TenantId::from_uuid(uuid::Uuid::nil()), kind };
        principal.kind == TenantKind::Msp && self.allows(principal, action, customer)
    }
}
