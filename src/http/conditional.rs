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
    let mut lines = Vec::new();
    for value in request.headers().get_all(IF_MATCH) {
        lines.push(value.to_str().map_err(|_| bad("must be ASCII"))?.trim());
    }
    if lines.is_empty() || lines == ["*"] {
        return Ok(Precondition::Any);
    }
    let tags: Option<Vec<_>> = lines.into_iter().map(strong_tags).collect();
    let tags = tags.map(|tags| tags.concat()).ok_or_else(|| bad("must be `*` or quoted entity tags"))?;
    Ok(Precondition::Sequences(tags.into_iter().filter_map(sequence).collect()))
}

/// What the strong tags of a list hold; `None` if it is no list of tags. Empty items are passed over (RFC 9110 5.6.1.2).
fn strong_tags(list: &str) -> Option<Vec<&str>> {
    let mut tags = Vec::new();
    let mut is_empty = true;
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let weak = rest.strip_prefix("W/");
        let (opaque, after) = weak.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        if weak.is_none() {
            tags.push(opaque);
        }
        is_empty = false;
        let after = after.trim_start();
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    (!is_empty).then_some(tags)
}

/// The sequence of a tag that [`etag`] made: tags are compared letter by letter, so `"03"` is not `"3"`.
fn sequence(opaque: &str) -> Option<u64> {
    opaque.parse().ok().filter(|sequence: &u64| sequence.to_string() == opaque)
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
        for other in [r#""+3""#, r#""03""#, r#"" 3""#, r#""3,""#] {
            assert!(!if_match(other).unwrap().holds(3), "{other} is another tag");
        }
    }

    #[test]
    fn a_list_of_tags_may_hold_commas_and_empty_items() {
        for list in [r#""a,b", "3""#, r#", "3","#, r#""2","3""#, r#"W/"x" ,,"3""#] {
            assert!(if_match(list).unwrap().holds(3), "{list}");
        }
        for wrong in ["", ",", r#""3"#, r#""2" "3""#, r#"w/"3""#, r#"*, "3""#] {
            assert!(if_match(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn respond_async_is_found_among_other_preferences() {
        let prefers =
            |value: &str| prefers_async(&TestRequest::default().insert_header(("prefer", value)).to_http_request());
        assert!(prefers("return=minimal, respond-async, wait=10"));
        assert!(!prefers("wait=10"));
    }
}
