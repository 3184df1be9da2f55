//! A test's token issuer: a key pair, its JWK, and tokens that say whatever the test wants.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tenure_aggregates::TenantId;
use tenure_event_log::Clock;
use uuid::Uuid;

use crate::identity::keys::KeySet;
use crate::identity::verifier::{Anchor, AnchorKeys, Verifier};

pub const ISSUER: &str = "https://id.example.com/";
pub const AUDIENCE: &str = "tenure-test";
pub const TENANT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0042);
pub const DEFAULT_TENANT: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);

pub struct Issuer {
    pub kid: &'static str,
    pub algorithm: Algorithm,
    pub key: EncodingKey,
    jwk: Value,
}

impl Issuer {
    pub fn ed25519(kid: &'static str) -> Self {
        let key = SigningKey::generate(&mut rand::rngs::OsRng);
        let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        let private = EncodingKey::from_ed_der(key.to_pkcs8_der().unwrap().as_bytes());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA" });
        Self { kid, algorithm: Algorithm::EdDSA, key: private, jwk }
    }

    pub fn rsa(kid: &'static str) -> Self {
        Self::of(kid, Algorithm::RS256, EncodingKey::from_rsa_pem(include_bytes!("rsa.pem")).unwrap())
    }

    pub fn p256(kid: &'static str) -> Self {
        Self::of(kid, Algorithm::ES256, EncodingKey::from_ec_pem(include_bytes!("p256.pem")).unwrap())
    }

    fn of(kid: &'static str, algorithm: Algorithm, key: EncodingKey) -> Self {
        let jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        Self { kid, algorithm, key, jwk }
    }

    pub fn jwk(&self) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(Some(self.kid), claims)
    }

    pub fn sign_as(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(ToOwned::to_owned), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }

    /// A token whose header says what the test wants, signed with the issuer's key all the same.
    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// Header and claims, without the last dot and the signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

pub fn key_set(issuers: &[&Issuer]) -> Value {
    json!({ "keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>() })
}

/// What a good token says.
pub fn claims(now: DateTime<Utc>) -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "0190a0a0-0000-7000-8000-000000000007",
        "role": "admin",
        "tenant": TENANT.to_string(),
        "iat": now.timestamp(),
        "nbf": now.timestamp(),
        "exp": now.timestamp() + 600,
        "jti": "t-1",
    })
}

pub fn anchor(keys: AnchorKeys) -> Anchor {
    Anchor { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), keys }
}

/// A verifier that trusts a key set, with a leeway of 30 s and a clock that is `offset` ahead.
pub fn verifier_at(keys: &Value, offset: TimeDelta) -> Verifier {
    let keys = AnchorKeys::Fixed(KeySet::parse(keys.to_string().as_bytes()).unwrap());
    Verifier::new(vec![anchor(keys)], 30, Clock::with_offset(offset), TenantId::from_uuid(DEFAULT_TENANT))
}

pub fn verifier(keys: &Value) -> Verifier {
    verifier_at(keys, TimeDelta::zero())
}
