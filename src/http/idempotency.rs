//! `Idempotency-Key`: names one request of one principal, so that a repeat gets the first one's answer.

use actix_web::HttpRequest;
use sha2::{Digest, Sha256};

use super::conditional::BadHeader;
use crate::dispatch::IdempotencyKey;

/// Longest key that is accepted, in bytes.
const MAX_LENGTH: usize = 255;

/// Reads the header; `None` where the client sent none.
///
/// # Errors
/// Where it is given twice, is empty, longer than 255 bytes or not visible ASCII.
pub fn key_of(request: &HttpRequest, principal: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, BadHeader> {
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
    Ok(Some(IdempotencyKey {
        principal: principal.to_owned(),
        key: key.to_owned(),
        request_hash: hash.finalize().into(),
    }))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn parsed(value: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, BadHeader> {
        let request = TestRequest::post().uri("/a?b").insert_header(("idempotency-key", value)).to_http_request();
        super::key_of(&request, "msp/anna", body)
    }

    #[test]
    fn another_body_gives_another_hash() {
        let (one, other) = (parsed("k", b"1").unwrap().unwrap(), parsed("k", b"2").unwrap().unwrap());
        assert_eq!(one.key, other.key);
        assert_ne!(one.request_hash, other.request_hash);
    }

    #[test]
    fn a_key_must_be_short_and_visible() {
        assert!(parsed(&"k".repeat(255), b"").unwrap().is_some());
        assert!(parsed(&"k".repeat(256), b"").is_err());
        assert!(parsed("", b"").is_err());
    }
}
