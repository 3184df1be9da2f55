//! The form of personal access tokens: `nbp_`, 30 random characters, and 6 that check them. What looks like one and is
//! mistyped is told so without asking anybody.

use std::fmt;

use rand::Rng;
use rand::distributions::Alphanumeric;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tenure_aggregates::values::TokenHash;

/// How every token begins.
pub const PREFIX: &str = "nbp_";
/// Random characters, of 62 each: 178 bits.
const SECRET_CHARACTERS: usize = 30;
/// Enough for any CRC-32 in base 62.
const CHECKSUM_CHARACTERS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A whole token. Shown to whoever asked for it, once; kept nowhere.
pub struct NewSecret(SecretString);

impl NewSecret {
    /// A token that nobody has seen, from the system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let mut secret = String::with_capacity(SECRET_CHARACTERS);
        secret.extend(OsRng.sample_iter(Alphanumeric).take(SECRET_CHARACTERS).map(char::from));
        let checksum = checksum(&secret);
        Self(SecretString::from(format!("{PREFIX}{secret}{checksum}")))
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        digest(self.0.expose_secret())
    }

    /// The token itself, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewSecret(..)")
    }
}

/// The hash of what is shaped like a token and has the right checksum; `None` for everything else.
pub(super) fn hash_of(token: &str) -> Option<TokenHash> {
    let characters = token.strip_prefix(PREFIX)?;
    if characters.len() != SECRET_CHARACTERS + CHECKSUM_CHARACTERS
        || !characters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    let (secret, claimed) = characters.split_at(SECRET_CHARACTERS);
    (checksum(secret) == claimed).then(|| digest(token))
}

fn digest(token: &str) -> TokenHash {
    TokenHash::from_digest(Sha256::digest(token).into())
}

/// CRC-32 in base 62, with zeros in front.
fn checksum(secret: &str) -> String {
    let mut rest = crc32fast::hash(secret.as_bytes());
    let mut digits = [DIGITS[0]; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_forty_characters_and_its_own_hash() {
        let (one, other) = (NewSecret::generate(), NewSecret::generate());
        assert_eq!(one.expose().len(), 40);
        assert!(one.expose().starts_with("nbp_"));
        assert_ne!(one.expose(), other.expose());
        assert_eq!(hash_of(one.expose()), Some(one.hash()));
        assert_ne!(one.hash(), other.hash());
        assert!(!format!("{one:?}").contains(one.expose()));
    }

    #[test]
    fn the_checksum_is_crc_32_in_base_62() {
        // The check value of CRC-32/ISO-HDLC is 0xCBF43926 for "123456789".
        assert_eq!(checksum("123456789"), "3jZRME");
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn whatever_is_mistyped_has_no_hash() {
        let good = NewSecret::generate().expose().to_owned();
        for index in PREFIX.len()..good.len() {
            let mut wrong = good.clone().into_bytes();
            wrong[index] = if wrong[index] == b'x' { b'y' } else { b'x' };
            assert_eq!(hash_of(std::str::from_utf8(&wrong).unwrap()), None, "character {index}");
        }
        for wrong in ["", "nbp_", &good[..39], &format!("{good}0"), &good.replace("nbp_", "NBP_"), "nbp_é"] {
            assert_eq!(hash_of(wrong), None, "{wrong}");
        }
    }
}
