//! `If-Match` and `ETag` over stream sequences, `Prefer: respond-async`, `Tenure-Min-Position`.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, IF_MATCH};
use tenure_event_log::Position;

use crate::dispatch::Precondition;

/// The position of the last event of a command's append; clients hand it back as [`MIN_POSITION`].
pub const POSITION: &str = "tenure-position";
/// A read that carries it waits until the views have passed that position.
pub const MIN_POSITION: &str = "tenure-min-position";

/// A conditional header that says nothing useful.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {header}: {reason}")]
pub struct BadHeader {
    /// The header's name.
    pub header: &'static str,
    /// What was wrong and what is allowed.
    pub reason: &'static str,
}

/// Reads `If-Match` (RFC 9110 13.1.1). Weak tags never match, as the RFC says.
///
/// # Errors
/// Where the header is not a list of entity tags.
pub fn precondition(request: &HttpRequest) -> Result<Precondition, BadHeader> {
    let bad = |reason| BadHeader { header: "If-Match", reason };
    let mut sequences = Vec::new();
    let mut present = false;
    for value in request.headers().get_all(IF_MATCH) {
        present = true;
        let text = value.to_str().map_err(|_| bad("must be ASCII"))?.trim();
        if text == "*" {
            return Ok(Precondition::Any);
        }
        for tag in text.split(',').map(str::trim) {
            let strong = tag.strip_prefix("W/").is_none();
            let quoted = tag.trim_start_matches("W/").strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let Some(opaque) = quoted else { return Err(bad("must be `*` or quoted entity tags")) };
            if let (true, Ok(sequence)) = (strong, opaque.parse()) {
                sequences.push(sequence);
            }
        }
    }
    Ok(if present { Precondition::Sequences(sequences) } else { Precondition::Any })
}

/// The strong entity tag of a stream at `sequence`.
#[must_use]
pub fn etag(sequence: u64) -> String {
    format!("\"{sequence}\"")
}

/// Whether the client would rather not wait for the views (RFC 7240 4.1).
#[must_use]
pub fn prefers_async(request: &HttpRequest) -> bool {
    request.headers().get_all(HeaderName::from_static("prefer")).any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split(',').any(|preference| {
                let token = preference.split([';', '=']).next().unwrap_or_default().trim();
                token.eq_ignore_ascii_case("respond-async")
            })
        })
    })
}

/// The position that a read must have seen.
///
/// # Errors
/// Where the header is not a number.
pub fn min_position(request: &HttpRequest) -> Result<Option<Position>, BadHeader> {
    let Some(value) = request.headers().get(MIN_POSITION) else { return Ok(None) };
    value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .map(|number| Some(Position::new(number)))
        .ok_or(BadHeader { header: "Tenure-Min-Position", reason: "must be a position: a whole number" })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn if_match(value: &str) -> Result<Precondition, BadHeader> {
        precondition(&TestRequest::default().insert_header((IF_MATCH, value)).to_http_request())
    }

    #[test]
    fn if_match_compares_strongly() {
        assert!(if_match(r#""3""#).unwrap().holds(3));
        assert!(!if_match(r#""3""#).unwrap().holds(4));
        assert!(if_match(r#""2", "4""#).unwrap().holds(4));
        assert!(!if_match(r#"W/"3""#).unwrap().holds(3));
        assert!(!if_match(r#""another-kind-of-tag""#).unwrap().holds(3));
        assert!(if_match("*").unwrap().holds(3));
        assert!(if_match("3").is_err());
    }

    #[test]
    fn respond_async_is_found_among_other_preferences() {
        let prefers =
            |value: &str| prefers_async(&TestRequest::default().insert_header(("prefer", value)).to_http_request());
        assert!(prefers("return=minimal, respond-async, wait=10"));
        assert!(!prefers("wait=10"));
    }
}
