//! `Idempotency-Key`: names one request of one principal, so that a repeat gets the first one's answer.

use actix_web::HttpRequest;
use sha2::{Digest, Sha256};

use super::conditional::BadHeader;

/// Longest key that is accepted, in bytes.
const MAX_LENGTH: usize = 255;

/// What makes two requests the same: who asks, the key, and a hash over method, path and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The principal's id, with the tenant it belongs to.
    pub principal: String,
    /// The header's value.
    pub key: String,
    /// SHA-256 over method, path with query, and body.
    pub request_hash: [u8; 32],
}

impl IdempotencyKey {
    /// Reads the header; `None` where the client sent none.
    ///
    /// # Errors
    /// Where it is given twice, is empty, longer than 255 bytes or not visible ASCII.
    pub fn of(request: &HttpRequest, principal: &str, body: &[u8]) -> Result<Option<Self>, BadHeader> {
        let bad = |reason| BadHeader { header: "Idempotency-Key", reason };
        let mut values = request.headers().get_all("idempotency-key");
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(bad("must be given once"));
        }
        let key = value.to_str().map_err(|_| bad("must be ASCII"))?.trim();
        if key.is_empty() || key.len() > MAX_LENGTH || !key.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(bad("must be 1 to 255 visible ASCII characters"));
        }
        let mut hash = Sha256::new();
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        for part in [request.method().as_str().as_bytes(), path.as_bytes(), body] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(Some(Self { principal: principal.to_owned(), key: key.to_owned(), request_hash: hash.finalize().into() }))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn key_of(value: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, BadHeader> {
        let request = TestRequest::post().uri("/a?b").insert_header(("idempotency-key", value)).to_http_request();
        IdempotencyKey::of(&request, "msp/anna", body)
    }

    #[test]
    fn another_body_gives_another_hash() {
        let (one, other) = (key_of("k", b"1").unwrap().unwrap(), key_of("k", b"2").unwrap().unwrap());
        assert_eq!(one.key, other.key);
        assert_ne!(one.request_hash, other.request_hash);
    }

    #[test]
    fn a_key_must_be_short_and_visible() {
        assert!(key_of(&"k".repeat(255), b"").unwrap().is_some());
        assert!(key_of(&"k".repeat(256), b"").is_err());
        assert!(key_of("", b"").is_err());
    }
}
