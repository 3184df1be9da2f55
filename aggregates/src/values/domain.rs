//! Domain names, by whose proof accounts are told apart.

use super::{printable, string_value};

/// The text is not a domain name that somebody could own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Longer than DNS allows (RFC 1035 section 2.3.4, in text form).
    #[error("must have at most {max} characters, not {length}")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// Most bytes.
        max: usize,
    },
    /// Not two or more labels of letters, digits and inner hyphens, joined by dots, the last one not a number.
    #[error("must be a domain name such as example.com; other scripts in their xn-- form")]
    NotAHostName,
}

string_value! {
    /// A host name of at least two labels, kept in lower case, without the root's dot: `tenant.com`. An address is none.
    DomainName, DomainError, parse
}
printable!(DomainName);

const MAX: usize = 253;
const LABEL_MAX: usize = 63;

fn parse(text: &str) -> Result<String, DomainError> {
    if text.len() > MAX {
        return Err(DomainError::TooLong { length: text.len(), max: MAX });
    }
    let last = text.rsplit_once('.').map(|(_, last)| last).ok_or(DomainError::NotAHostName)?;
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number || !text.split('.').all(is_label) {
        return Err(DomainError::NotAHostName);
    }
    Ok(text.to_ascii_lowercase())
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
