//! Names that others have given to things of theirs: read, compared and handed back, never understood.

use super::{hidden, printable, string_value};

/// The text can't be anybody's identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Empty or too long.
    #[error("must have 1 to {max} bytes, not {length}")]
    Length {
        /// Bytes given.
        length: usize,
        /// Most bytes.
        max: usize,
    },
    /// A space at an end, or a control character, U+0000 included.
    #[error("must not hold control characters, nor begin or end with a space")]
    Unprintable,
    /// Something else than an ASCII letter, a digit or one of `-_.`.
    #[error("may hold letters a to z, digits, hyphens, underscores and dots, not {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
}

string_value! {
    /// A person in an identity provider, 1 to 255 bytes, for example `google-oauth2|1234`. It may be an address: it stands
    /// in events as [`crate::Personal`] only.
    UserId, IdentifierError, opaque
}
hidden!(UserId);

string_value! {
    /// A person as events, metadata and logs may name it: an id, or a pseudonym made with the cell's master key.
    SubjectId, IdentifierError, opaque
}
printable!(SubjectId);

string_value! {
    /// A price in the payment provider's catalogue, for example `price_1HhxOpBzq4JbCqRmJxkpzL2V`: 1 to 255 ASCII letters,
    /// digits and `-_.`.
    PriceId, IdentifierError, plain
}
printable!(PriceId);

string_value! {
    /// What a domain's owner publishes to prove that it is the owner: 1 to 255 ASCII letters, digits and `-_.`, of which at
    /// least 128 bits are random.
    DnsChallenge, IdentifierError, plain
}
printable!(DnsChallenge);

const MAX: usize = 255;

fn opaque(text: &str) -> Result<String, IdentifierError> {
    if !(1..=MAX).contains(&text.len()) {
        return Err(IdentifierError::Length { length: text.len(), max: MAX });
    }
    if text.trim() != text || text.contains(char::is_control) {
        return Err(IdentifierError::Unprintable);
    }
    Ok(text.to_owned())
}

fn plain(text: &str) -> Result<String, IdentifierError> {
    if let Some(found) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        return Err(IdentifierError::Character { found });
    }
    opaque(text)
}
