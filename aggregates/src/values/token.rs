//! What an access token is known by, and for how long it lives.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The text is not a SHA-256 in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits in lower case")]
pub struct TokenHashError;

/// SHA-256 of a token: what is kept of its secret. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of these bytes' digest.
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl FromStr for TokenHash {
    type Err = TokenHashError;

    fn from_str(text: &str) -> Result<Self, TokenHashError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return Err(TokenHashError);
        }
        let mut digest = [0; 32];
        for (index, byte) in digest.iter_mut().enumerate() {
            let digits = text.get(index * 2..index * 2 + 2).ok_or(TokenHashError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| TokenHashError)?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for TokenHash {
    type Error = TokenHashError;

    fn try_from(text: String) -> Result<Self, TokenHashError> {
        text.parse()
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        hash.to_string()
    }
}

/// The number is not a token's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {max} days, not {given}")]
pub struct LifetimeError {
    /// Days given.
    pub given: i64,
    /// Most days.
    pub max: i64,
}

/// How long a token lives: 1 to 365 days of 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenLifetime {
    days: i64,
}

impl TokenLifetime {
    /// Most days.
    pub const MAX_DAYS: i64 = 365;

    /// Makes a lifetime of 1 to [`Self::MAX_DAYS`] days.
    ///
    /// # Errors
    /// None, or more than that.
    pub const fn from_days(days: i64) -> Result<Self, LifetimeError> {
        if days < 1 || days > Self::MAX_DAYS {
            return Err(LifetimeError { given: days, max: Self::MAX_DAYS });
        }
        Ok(Self { days })
    }

    /// The first moment at which a token made at `start` is not valid any more.
    #[must_use]
    pub fn ends_at(self, start: DateTime<Utc>) -> DateTime<Utc> {
        start.checked_add_signed(TimeDelta::days(self.days)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}
