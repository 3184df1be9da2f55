//! Short texts for people: names and reasons.

use super::{hidden, printable, string_value};

/// The text can't be shown as a name or a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing left after trimming.
    #[error("must not be empty")]
    Empty,
    /// Longer than allowed.
    #[error("must have at most {max} characters, not {length}")]
    TooLong {
        /// Characters given, after trimming.
        length: usize,
        /// Most characters.
        max: usize,
    },
    /// A control character, U+0000 and line breaks included: it would break a log line or an export.
    #[error("must not hold the control character U+{:04X}", u32::from(*found))]
    ControlCharacter {
        /// The first one.
        found: char,
    },
}

string_value! {
    /// A tenant's name, 1 to 100 characters, trimmed (RP-PAM article 37). It names an organisation and is not personal.
    DisplayName, TextError, |text| line(text, 100)
}
printable!(DisplayName);

string_value! {
    /// A person's name, 1 to 100 characters, trimmed. Stands in events as [`crate::Personal`] only.
    PersonName, TextError, |text| line(text, 100)
}
hidden!(PersonName);

string_value! {
    /// Why something was done, 1 to 200 characters, trimmed. Business text: it is billed and exported as it is, so it is
    /// no place for personal values.
    Reason, TextError, |text| line(text, 200)
}
printable!(Reason);

string_value! {
    /// What an access token is for, 1 to 100 characters, trimmed. Business text, so no place for personal values.
    TokenName, TextError, |text| line(text, 100)
}
printable!(TokenName);

string_value! {
    /// Names who acts, by ids or pseudonyms only, 1 to 200 characters: never a name or an address.
    PrincipalId, TextError, |text| line(text, 200)
}
printable!(PrincipalId);

fn line(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if let Some(found) = text.chars().find(|c| c.is_control()) {
        return Err(TextError::ControlCharacter { found });
    }
    let length = text.chars().count();
    if length > max {
        return Err(TextError::TooLong { length, max });
    }
    Ok(text.to_owned())
}
