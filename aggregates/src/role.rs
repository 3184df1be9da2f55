//! What somebody is in a tenant, and which roles hold which others.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $name:literal,)*) => {
        /// What somebody is in a tenant; the service's policies say what each may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Role {
            $($(#[$doc])* #[serde(rename = $name)] $role,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &[Self] = &[$(Self::$role),*];

            /// The role's name in tokens, events, policies and answers.
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
    /// The partial order of roles: whether who holds `self` holds `other` as well, and so may hand it on within the same
    /// tenant. An MSP's administrators appoint everybody in its tree but support; otherwise a role holds what its rights contain.
    #[must_use]
    pub const fn holds(self, other: Self) -> bool {
        match self {
            Self::MspAdmin => match other {
                // What is restored for a customer is restored by somebody else than who deprovisioned it (RP-PAM: "by
                // contacting support").
                Self::Support => false,
                Self::MspAdmin
                | Self::PrimeAdmin
                | Self::Admin
                | Self::OfficeAdmin
                | Self::DpskAdmin
                | Self::TemplatesAdmin
                | Self::ReportsAdmin
                | Self::ReadOnly
                | Self::Auditor
                | Self::Billing => true,
            },
            Self::PrimeAdmin => match other {
                // What billing sees of an MSP reaches beyond the MSP's own tenant.
                Self::MspAdmin | Self::Billing | Self::Support => false,
                Self::PrimeAdmin
                | Self::Admin
                | Self::OfficeAdmin
                | Self::DpskAdmin
                | Self::TemplatesAdmin
                | Self::ReportsAdmin
                | Self::ReadOnly
                | Self::Auditor => true,
            },
            Self::Admin => match other {
                Self::MspAdmin | Self::PrimeAdmin | Self::Auditor | Self::Billing | Self::Support => false,
                Self::Admin
                | Self::OfficeAdmin
                | Self::DpskAdmin
                | Self::TemplatesAdmin
                | Self::ReportsAdmin
                | Self::ReadOnly => true,
            },
            Self::OfficeAdmin
            | Self::DpskAdmin
            | Self::TemplatesAdmin
            | Self::ReportsAdmin
            | Self::ReadOnly
            | Self::Auditor
            | Self::Billing
            | Self::Support => self as u8 == other as u8,
        }
    }

    /// Whether the role means something in an MSP's own tenant only.
    #[must_use]
    pub const fn is_for_msps(self) -> bool {
        match self {
            Self::MspAdmin | Self::Support => true,
            Self::PrimeAdmin
            | Self::Admin
            | Self::OfficeAdmin
            | Self::DpskAdmin
            | Self::TemplatesAdmin
            | Self::ReportsAdmin
            | Self::ReadOnly
            | Self::Auditor
            | Self::Billing => false,
        }
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
