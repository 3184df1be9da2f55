//! A tenant's short code: what people type, and what names its logical data space.

use super::{printable, string_value};

/// The text is not a short code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShortCodeError {
    /// Too short or too long.
    #[error("must have {min} to {max} characters, not {length}")]
    Length {
        /// Characters given.
        length: usize,
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
    },
    /// Something else than an ASCII letter, a digit or a hyphen.
    #[error("may hold letters a to z, digits and hyphens, not {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
    /// A hyphen at the start or at the end.
    #[error("must not start or end with a hyphen")]
    OuterHyphen,
}

string_value! {
    /// 3 to 20 ASCII letters, digits and hyphens, no hyphen at either end; kept in lower case (RP-PAM article 37).
    ///
    /// Unique in the whole cell, whatever the case it was typed in.
    ShortCode, ShortCodeError, parse
}
printable!(ShortCode);

const MIN: usize = 3;
const MAX: usize = 20;

fn parse(text: &str) -> Result<String, ShortCodeError> {
    if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(ShortCodeError::Character { found });
    }
    if !(MIN..=MAX).contains(&text.len()) {
        return Err(ShortCodeError::Length { length: text.len(), min: MIN, max: MAX });
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(ShortCodeError::OuterHyphen);
    }
    Ok(text.to_ascii_lowercase())
}
