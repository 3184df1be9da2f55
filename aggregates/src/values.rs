//! Values that can only be made by parsing, so that what holds one need not check it again.
//!
//! Lengths count characters (Unicode scalar values), not bytes. Stored events are read through the same parsers: a rule
//! that becomes stricter needs an upcaster for the values that history already holds.

mod domain;
mod email;
mod group;
mod identifier;
mod limit;
mod module;
mod period;
mod retention;
mod short_code;
mod text;
mod token;

pub use domain::{DomainError, DomainName};
pub use email::{EmailAddress, EmailError};
pub use group::{GroupError, GroupId, Groups};
pub use identifier::{DnsChallenge, IdentifierError, PriceId, SubjectId, UserId};
pub use limit::{LimitError, ResourceLimit, SeatLimit};
pub use module::{ModuleError, ModuleName, Modules};
pub use period::{PeriodError, UsagePeriod};
pub use retention::{Retention, RetentionError};
pub use short_code::{ShortCode, ShortCodeError};
pub use text::{DisplayName, PersonName, PrincipalId, Reason, TextError, TokenName};
pub use token::{LifetimeError, TokenHash, TokenHashError, TokenLifetime};

/// A value kept as a string: one way in (`parse`), read access, and the same way in from serde.
macro_rules! string_value {
    ($(#[$attribute:meta])* $name:ident, $error:ty, $parse:expr) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Makes the value from text.
            ///
            /// # Errors
            /// The first rule that the text breaks.
            pub fn parse(text: &str) -> Result<Self, $error> {
                $parse(text).map(Self)
            }

            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    };
}
use string_value;

/// `Debug` and `Display` for values that may be printed. Personal ones get a `Debug` that hides them instead.
macro_rules! printable {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
    };
}
use printable;

/// `Debug` that says what kind of value it is and nothing of the value.
macro_rules! hidden {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}
use hidden;
