//! E-mail addresses, checked as far as it helps: whether one works is known only after sending.

use super::{hidden, string_value};

/// The text is not an e-mail address. No variant repeats it, since it is personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Longer than a mail path can be (RFC 5321 section 4.5.3.1.3, less the brackets).
    #[error("must have at most {max} bytes, not {length}")]
    TooLong {
        /// Bytes given.
        length: usize,
        /// Most bytes.
        max: usize,
    },
    /// A space or a control character, U+0000 included.
    #[error("must not hold spaces or control characters")]
    Whitespace,
    /// Not exactly one `@`.
    #[error("must hold exactly one @")]
    NotOneAt,
    /// Nothing before the `@`, or more than 64 bytes.
    #[error("must have 1 to {max} bytes before the @, not {length}")]
    LocalPartLength {
        /// Bytes given.
        length: usize,
        /// Most bytes.
        max: usize,
    },
    /// What follows the `@` is not two or more labels of letters, digits and inner hyphens, joined by dots.
    #[error("must have a domain name such as example.com after the @")]
    Domain,
}

string_value! {
    /// `local@domain.tld`: one `@`; 1 to 64 bytes before it, free of spaces and control characters; after it a host name
    /// of at least two labels (internationalised ones in their `xn--` form); 254 bytes in all. Kept as typed.
    ///
    /// Quoted local parts and address literals (`"a b"@[127.0.0.1]`) are refused on purpose.
    EmailAddress, EmailError, parse
}
hidden!(EmailAddress);

impl EmailAddress {
    /// The form in which two addresses are the same one: all in lower case. Mail servers may tell cases apart before the
    /// `@`; people don't.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_lowercase()
    }
}

const MAX: usize = 254;
const LOCAL_MAX: usize = 64;
const LABEL_MAX: usize = 63;

fn parse(text: &str) -> Result<String, EmailError> {
    if text.len() > MAX {
        return Err(EmailError::TooLong { length: text.len(), max: MAX });
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(EmailError::Whitespace);
    }
    let (local, domain) = text.split_once('@').ok_or(EmailError::NotOneAt)?;
    if domain.contains('@') {
        return Err(EmailError::NotOneAt);
    }
    if !(1..=LOCAL_MAX).contains(&local.len()) {
        return Err(EmailError::LocalPartLength { length: local.len(), max: LOCAL_MAX });
    }
    if !domain.contains('.') || !domain.split('.').all(is_label) {
        return Err(EmailError::Domain);
    }
    Ok(text.to_owned())
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
