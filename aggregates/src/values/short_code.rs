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

impl ShortCode {
    /// A short code for a tenant that was given none, made from the first of these names of it that has enough Latin in
    /// it: `Acme & Partner` gives `acme-partner`. With `number` it ends in that, for when the plain one is taken.
    #[must_use]
    pub fn made_from(names: &[&str], number: Option<u32>) -> Self {
        let suffix = number.map(|number| format!("-{number}")).unwrap_or_default();
        let code = names.iter().map(|name| words(name, MAX - suffix.len())).find(|code| code.len() >= MIN);
        Self(code.unwrap_or_else(|| "tenant".to_owned()) + &suffix)
    }
}

/// The letters and digits of a name, in lower case, with hyphens between words.
fn words(name: &str, most: usize) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut code = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    code.truncate(most);
    code.trim_end_matches('-').to_owned()
}
