//! Public keys that tokens may be signed with, each bound to the one algorithm that it is for.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

/// Most keys that one set may hold.
const MAX_KEYS: usize = 100;

/// The accepted signature algorithms. There is no symmetric one, and none called none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519.
    EdDsa,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 to 8192 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The algorithm that a token's header or a key names, if it is accepted.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    const fn as_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

/// A public key and what it is for.
#[derive(Clone)]
pub struct TrustedKey {
    /// The key's id, if it has one.
    pub kid: Option<String>,
    /// The one algorithm that it verifies.
    pub algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustedKey({:?}, {:?})", self.kid, self.algorithm)
    }
}

impl TrustedKey {
    /// An Ed25519 key; `None` if the bytes are none, or one that verifies anything.
    pub fn ed25519(kid: Option<String>, public: &[u8]) -> Option<Self> {
        let public: [u8; 32] = public.try_into().ok()?;
        let checked = VerifyingKey::from_bytes(&public).ok().filter(|key| !key.is_weak())?;
        Some(Self { kid, algorithm: Algorithm::EdDsa, key: DecodingKey::from_ed_der(checked.as_bytes()) })
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.key, self.algorithm.as_jsonwebtoken()).unwrap_or(false)
    }

    /// Reads a JWK. Lengths are checked here, since the verifier takes them for granted.
    fn from_jwk(jwk: Jwk) -> Result<Self, &'static str> {
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        if jwk.operations.is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
            return Err("it is not for verifying");
        }
        let bytes = |part: Option<String>| part.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let key = match (jwk.kind.as_str(), jwk.curve.as_deref()) {
            ("OKP", Some("Ed25519")) => bytes(jwk.x).and_then(|x| Self::ed25519(jwk.kid, &x)),
            ("EC", Some("P-256")) => match (bytes(jwk.x), bytes(jwk.y)) {
                (Some(x), Some(y)) if x.len() == 32 && y.len() == 32 => {
                    let point: Vec<u8> = [&[4], x.as_slice(), y.as_slice()].concat();
                    Some(Self { kid: jwk.kid, algorithm: Algorithm::Es256, key: DecodingKey::from_ec_der(&point) })
                }
                _ => None,
            },
            ("RSA", _) => match (bytes(jwk.n), bytes(jwk.e)) {
                (Some(n), Some(e)) if (256..=1024).contains(&significant(&n)) && (1..=8).contains(&significant(&e)) => {
                    let key = DecodingKey::from_rsa_raw_components(&n, &e);
                    Some(Self { kid: jwk.kid, algorithm: Algorithm::Rs256, key })
                }
                _ => None,
            },
            _ => return Err("its type or curve is not accepted"),
        };
        let key = key.ok_or("it is malformed, weak or of an unaccepted size")?;
        match jwk.algorithm.as_deref().map(Algorithm::from_name) {
            None => Ok(key),
            Some(Some(algorithm)) if algorithm == key.algorithm => Ok(key),
            Some(_) => Err("its algorithm is not accepted or not that of its type"),
        }
    }
}

/// The number of bytes without leading zeros.
fn significant(number: &[u8]) -> usize {
    number.iter().skip_while(|byte| **byte == 0).count()
}

/// RFC 7517, as far as public keys of the accepted kinds need it.
#[derive(Deserialize)]
struct Jwk {
    #[serde(rename = "kty")]
    kind: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
    #[serde(rename = "alg")]
    algorithm: Option<String>,
    kid: Option<String>,
    #[serde(rename = "crv")]
    curve: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// The text is no JSON Web Key Set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not JSON of that form.
    #[error("not a JSON Web Key Set")]
    Malformed(#[source] serde_json::Error),
    /// Too many keys.
    #[error("a key set may hold at most {MAX_KEYS} keys")]
    TooMany,
}

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<TrustedKey>,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys that can't be used are left out with a warning, as RFC 7517 section 5 wants.
    ///
    /// # Errors
    /// The text is no key set.
    pub fn parse(text: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document = serde_json::from_slice(text).map_err(KeySetError::Malformed)?;
        if document.keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys = Vec::with_capacity(document.keys.len());
        for (index, value) in document.keys.into_iter().enumerate() {
            let key =
                serde_json::from_value::<Jwk>(value).map_err(|_| "it is malformed").and_then(TrustedKey::from_jwk);
            match key {
                Ok(key) => keys.push(key),
                Err(reason) => tracing::warn!(index, reason, "a key of the key set is not used"),
            }
        }
        Ok(Self { keys })
    }

    /// A set of one key.
    #[must_use]
    pub fn of(key: TrustedKey) -> Self {
        Self { keys: vec![key] }
    }

    /// The keys with this id. Without an id: all.
    pub fn named<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a TrustedKey> {
        self.keys.iter().filter(move |key| kid.is_none() || key.kid.as_deref() == kid)
    }
}
