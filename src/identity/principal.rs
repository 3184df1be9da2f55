//! Who calls: a subject with one role in one tenant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tenure_aggregates::values::Groups;
use tenure_aggregates::{TenantId, TenantKind};

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $name:literal,)*) => {
        /// What somebody is in a tenant; see the policies for what each may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Role {
            $($(#[$doc])* $role,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &[Self] = &[$(Self::$role),*];

            /// The role's name in tokens, policies and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$role => $name,)*
                }
            }
        }
    };
}

roles! {
    /// Everything on the MSP's own tree; sees metadata of tenants, not their people's data.
    MspAdmin = "msp-admin",
    /// Everything in its tenant.
    PrimeAdmin = "prime-admin",
    /// All in its tenant but other administrators.
    Admin = "admin",
    /// Its part only.
    OfficeAdmin = "office-admin",
    /// Its part only.
    DpskAdmin = "dpsk-admin",
    /// Its part only.
    TemplatesAdmin = "templates-admin",
    /// Its part only.
    ReportsAdmin = "reports-admin",
    /// Read.
    ReadOnly = "read-only",
    /// Audit history and proofs, nothing else.
    Auditor = "auditor",
    /// Billing events and export, nothing else.
    Billing = "billing",
    /// What an open support window allows; restore in retention.
    Support = "support",
}

impl Role {
    /// Whether a token of this role that names no tenant means the deployment's first MSP.
    #[must_use]
    pub const fn defaults_to_msp(self) -> bool {
        match self {
            Self::MspAdmin | Self::Billing | Self::Support => true,
            Self::PrimeAdmin
            | Self::Admin
            | Self::OfficeAdmin
            | Self::DpskAdmin
            | Self::TemplatesAdmin
            | Self::ReportsAdmin
            | Self::ReadOnly
            | Self::Auditor => false,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a role; the roles are msp-admin, prime-admin, admin, office-admin, dpsk-admin, templates-admin, reports-admin, \
     read-only, auditor, billing and support"
)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Somebody whose token is valid and whose tenant may be used right now.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's subject. It may be a name or an address, so it is shown to nobody but the caller: see
    /// [`Principal::id`].
    pub subject: String,
    /// What the subject is in the tenant.
    pub role: Role,
    /// The tenant that the subject belongs to.
    pub tenant: TenantId,
    /// The tenant's place in the tree.
    pub kind: TenantKind,
    /// The groups that the token says the subject is in.
    pub groups: Arc<Groups>,
    /// The token's own id, if it has one.
    pub token_id: Option<String>,
    /// When the token ends, leeway not counted.
    pub expires_at: DateTime<Utc>,
    pub(super) subject_id: String,
}

impl Principal {
    /// Names the principal in events, idempotency records and logs: the tenant and the subject's id, never a personal
    /// value.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.tenant, self.subject_id)
    }
}

impl Principal {
    /// The subject as it may be written down.
    #[must_use]
    pub fn subject_id(&self) -> &str {
        &self.subject_id
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("id", &self.id()).field("role", &self.role).finish_non_exhaustive()
    }
}

/// The subject as it may be written down: itself if it is plainly an identifier, else a pseudonym that `blind` makes.
pub(super) fn subject_id(subject: &str, blind: impl FnOnce(&str) -> String) -> String {
    const LONGEST: usize = 64;
    let is_id = subject.parse::<uuid::Uuid>().is_ok() || subject.starts_with(super::development_key::SUBJECT_PREFIX);
    let is_plain = subject.len() <= LONGEST && subject.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_id && is_plain { subject.to_owned() } else { format!("~{}", blind(subject)) }
}
