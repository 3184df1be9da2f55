//! Ids of aggregates: uuids (version 7, so that keys arrive in time order) that can't be mistaken for one another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a uuid in its hyphenated form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a uuid in the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Names the aggregate that has this uuid.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The uuid itself.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Accepts the hyphenated form only: one aggregate, one spelling in paths and stream names.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse::<uuid::fmt::Hyphenated>().map(|id| Self(id.into_uuid())).map_err(|_| InvalidId)
            }
        }
    };
}

id! {
    /// A tenant: an MSP itself or one of its customers.
    TenantId
}

id! {
    /// A person who administers a tenant.
    AdministratorId
}

id! {
    /// What stands between one MSP and one account.
    LinkId
}

impl LinkId {
    /// The link between an MSP and an account: there is never a second one, so the two name it.
    #[must_use]
    pub fn between(msp: TenantId, account: TenantId) -> Self {
        /// Never to be changed: it names streams.
        const NAMESPACE: Uuid = Uuid::from_u128(0x2b1e_7c90_55a3_4d1b_9a0c_8e6f_3d24_71b5);
        let pair = [msp.as_uuid().into_bytes(), account.as_uuid().into_bytes()].concat();
        Self(Uuid::new_v5(&NAMESPACE, &pair))
    }
}

id! {
    /// A personal access token.
    AccessTokenId
}
