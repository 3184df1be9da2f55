//! What an event changes outside its own stream: names that only one aggregate may hold, and counted limits.
//!
//! An aggregate sees its own history only, so "nobody else has this short code" is not a decision it can take. It
//! declares the claim beside the event instead, and the log refuses the append when the claim is taken.

/// A claim's key, and whether it may be stored as it is.
#[derive(Clone, PartialEq, Eq)]
pub enum ClaimKey {
    /// Stored in the clear.
    Plain(String),
    /// Holds a personal value: the dispatcher blinds it (HMAC) before it reaches the log.
    Personal(String),
}

impl std::fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(key) => f.debug_tuple("Plain").field(key).finish(),
            Self::Personal(_) => f.write_str("Personal(..)"),
        }
    }
}

/// A name to take or to give back. Its owner is always the aggregate whose event declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimChange {
    /// Refused when another aggregate holds the name.
    Take {
        /// What kind of name, for example `tenant.short-code`.
        scope: &'static str,
        /// The name itself.
        key: ClaimKey,
    },
    /// The name is free for others again.
    Release {
        /// What kind of name.
        scope: &'static str,
        /// The name itself.
        key: ClaimKey,
    },
}

/// A change to a counted limit; refused where `used` would leave `0..=max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitChange {
    /// What is counted, for example `tenant.seats`.
    pub scope: &'static str,
    /// Whose, for example a tenant's id.
    pub key: String,
    /// Added to `used`; may be negative or zero.
    pub delta: i64,
    /// The maximum from now on; `None` leaves the present one.
    pub max: Option<i64>,
}
