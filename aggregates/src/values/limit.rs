//! How much a tenant may hold.

use serde::{Deserialize, Serialize};

/// The number is not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {min} to {max}, not {given}")]
pub struct LimitError {
    /// The number given.
    pub given: i64,
    /// The smallest limit.
    pub min: u32,
    /// The largest limit.
    pub max: u32,
}

macro_rules! limit {
    ($(#[$doc:meta])* $name:ident, default: $default:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "u32")]
        pub struct $name(u32);

        impl $name {
            /// The smallest limit. Whoever wants none suspends the tenant.
            pub const MIN: u32 = 1;
            /// The largest limit: far above any tenant, and safe to add up in 32 bits.
            pub const MAX: u32 = 1_000_000;
            /// What a tenant gets that was given none.
            pub const DEFAULT: Self = Self($default);

            /// Makes a limit of [`Self::MIN`] to [`Self::MAX`].
            ///
            /// # Errors
            /// The number lies outside.
            pub fn new(given: i64) -> Result<Self, LimitError> {
                u32::try_from(given)
                    .ok()
                    .filter(|limit| (Self::MIN..=Self::MAX).contains(limit))
                    .map(Self)
                    .ok_or(LimitError { given, min: Self::MIN, max: Self::MAX })
            }

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::DEFAULT
            }
        }

        impl TryFrom<i64> for $name {
            type Error = LimitError;

            fn try_from(given: i64) -> Result<Self, LimitError> {
                Self::new(given)
            }
        }

        impl From<$name> for u32 {
            fn from(limit: $name) -> Self {
                limit.0
            }
        }
    };
}

limit! {
    /// Most users that a tenant may have: accepted administrators and unit users together.
    ///
    /// RP-PAM article 38 shows 500 on its example tenant (there the licence tier's default; here everybody's).
    SeatLimit, default: 500
}

limit! {
    /// Most resources that a tenant may have; the data plane enforces it and reports what is there.
    ///
    /// RP-PAM article 38 shows 200 on its example tenant.
    ResourceLimit, default: 200
}
