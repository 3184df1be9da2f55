//! Bearer tokens: JSON Web Tokens whose signature, issuer, audience and times are checked.
//!
//! Times are judged by the service's clock, which may run at an offset, never by the system's. What is remembered of a
//! token is only that its signature is good; its times are judged again on every request, and who may act is the gate's
//! business.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tenure_aggregates::TenantId;
use tenure_event_log::{Clock, TimedCache};

use super::claims::Token;
use super::denied::{Denied, TokenFault};
use super::jwks::Jwks;
use super::keys::{Algorithm, KeySet, TrustedKey};

/// Largest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Tokens whose signature is remembered as good.
const REMEMBERED: usize = 20_000;
/// For how long.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// Somebody who may sign tokens.
#[derive(Debug)]
pub struct Anchor {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The `aud` that its tokens must name.
    pub audience: String,
    /// Its public keys.
    pub keys: AnchorKeys,
}

/// Where an anchor's keys are.
#[derive(Debug)]
pub enum AnchorKeys {
    /// Known once and for all.
    Fixed(KeySet),
    /// Published, and rotated by their owner.
    Published(Arc<Jwks>),
}

/// Checks bearer tokens.
pub struct Verifier {
    anchors: Vec<Anchor>,
    leeway_seconds: u32,
    clock: Clock,
    default_tenant: TenantId,
    remembered: TimedCache<[u8; 32], Arc<Remembered>>,
}

/// A token whose signature was good under these keys.
struct Remembered {
    token: Token,
    anchor: usize,
    generation: [u8; 32],
}

/// The header's fields that matter. Those by which a token would bring its own key (`jwk`, `jku`, `x5c`, `x5u`) are not
/// looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

impl Verifier {
    /// A verifier that trusts these anchors. `default_tenant` is meant by tokens that may leave their tenant out.
    #[must_use]
    pub fn new(anchors: Vec<Anchor>, leeway_seconds: u32, clock: Clock, default_tenant: TenantId) -> Self {
        let remembered = TimedCache::new(REMEMBERED, REMEMBERED_FOR);
        Self { anchors, leeway_seconds, clock, default_tenant, remembered }
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`Denied::InvalidToken`] with its fault, or [`Denied::KeysUnavailable`].
    pub async fn verify(&self, token: &str) -> Result<Token, Denied> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(remembered) = self.remembered.get(&digest)
            && self.generation(remembered.anchor) == Some(remembered.generation)
        {
            remembered.token.judge_times(self.clock.now(), self.leeway_seconds)?;
            return Ok(remembered.token.clone());
        }
        let parts = Parts::split(token)?;
        let (anchor, generation) = self.verify_signature(&parts).await?;
        let trusted = self.anchors.get(anchor).ok_or(TokenFault::UnknownKey)?;
        let token = Token::parse(&parts.claims, &trusted.issuer, &trusted.audience, self.default_tenant)?;
        token.judge_times(self.clock.now(), self.leeway_seconds)?;
        self.remembered.insert(digest, Arc::new(Remembered { token: token.clone(), anchor, generation }));
        Ok(token)
    }

    /// Finds the one key that the token can be signed with and checks the signature. Answers whose key it was.
    async fn verify_signature(&self, parts: &Parts<'_>) -> Result<(usize, [u8; 32]), Denied> {
        let found = match self.find_key(parts) {
            Err(TokenFault::UnknownKey) => {
                for anchor in &self.anchors {
                    if let AnchorKeys::Published(jwks) = &anchor.keys {
                        jwks.look_again().await;
                    }
                }
                let keyless = (0..self.anchors.len()).any(|anchor| self.generation(anchor).is_none());
                self.find_key(parts).map_err(|fault| match fault {
                    TokenFault::UnknownKey if keyless => Denied::KeysUnavailable,
                    fault => fault.into(),
                })?
            }
            other => other?,
        };
        if !found.key.verifies(parts.signed.as_bytes(), parts.signature) {
            return Err(TokenFault::Signature.into());
        }
        Ok((found.anchor, found.generation))
    }

    fn find_key(&self, parts: &Parts<'_>) -> Result<Found, TokenFault> {
        let mut found = None;
        let mut other_algorithm = false;
        for index in 0..self.anchors.len() {
            for (key, generation) in self.keys(index, parts.kid.as_deref()) {
                if key.algorithm != parts.algorithm {
                    other_algorithm = true;
                } else if found.replace(Found { key, anchor: index, generation }).is_some() {
                    return Err(TokenFault::UnknownKey);
                }
            }
        }
        match found {
            Some(found) => Ok(found),
            None if other_algorithm && parts.kid.is_some() => Err(TokenFault::Algorithm),
            None => Err(TokenFault::UnknownKey),
        }
    }

    fn keys(&self, anchor: usize, kid: Option<&str>) -> Vec<(TrustedKey, [u8; 32])> {
        match self.anchors.get(anchor).map(|anchor| &anchor.keys) {
            Some(AnchorKeys::Fixed(keys)) => keys.named(kid).map(|key| (key.clone(), FIXED)).collect(),
            Some(AnchorKeys::Published(jwks)) => jwks.current().map_or_else(Vec::new, |generation| {
                generation.keys.named(kid).map(|key| (key.clone(), generation.digest)).collect()
            }),
            None => Vec::new(),
        }
    }

    /// Which keys the anchor has now; `None` if it has none yet.
    fn generation(&self, anchor: usize) -> Option<[u8; 32]> {
        match &self.anchors.get(anchor)?.keys {
            AnchorKeys::Fixed(_) => Some(FIXED),
            AnchorKeys::Published(jwks) => jwks.current().map(|generation| generation.digest),
        }
    }
}

/// The generation of keys that never change.
const FIXED: [u8; 32] = [0; 32];

struct Found {
    key: TrustedKey,
    anchor: usize,
    generation: [u8; 32],
}

/// A token taken apart. Nothing in it is trusted yet.
struct Parts<'a> {
    /// What the signature is over: header and claims as they were sent.
    signed: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
    /// JSON text.
    claims: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, TokenFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenFault::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenFault::Malformed)?;
        // RFC 7515 section 4.1.11: whoever does not understand a critical extension refuses the token.
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        // RFC 8725 section 3.11: no other kind of token is taken for an access token.
        let typ = header.typ.as_deref().unwrap_or("JWT");
        if !["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
            return Err(TokenFault::Malformed);
        }
        let algorithm = Algorithm::from_name(&header.alg).ok_or(TokenFault::Algorithm)?;
        Ok(Self { signed, signature, algorithm, kid: header.kid, claims: decode(claims)? })
    }
}
