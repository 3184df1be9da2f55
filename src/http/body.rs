//! Reads a JSON body strictly: bounded, UTF-8, no U+0000, no unknown field, and an error that points to the place.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures::StreamExt;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::stopping::Stopping;

/// How much of an oversize body is read and thrown away, so that the client gets to read the answer.
const DRAIN_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// How long a client may take to send a body.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// Why a body can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Longer than the configured limit.
    #[error("the body is longer than {limit_bytes} bytes")]
    TooLarge {
        /// `http.body_limit_bytes`.
        limit_bytes: usize,
    },
    /// Not JSON by its `Content-Type`.
    #[error("the content type is not application/json")]
    UnsupportedMediaType,
    /// The connection broke off before the body's end.
    #[error("the body broke off, or did not arrive in time")]
    Incomplete,
    /// The service stops, and the body's end is not in sight.
    #[error("the service stops")]
    Stopping,
    /// Not JSON at all.
    #[error("the body is not valid JSON: {reason}")]
    Malformed {
        /// Where and what.
        reason: String,
    },
    /// JSON, but not of the shape that the operation takes.
    #[error("{reason}")]
    Field {
        /// RFC 6901 pointer to the value.
        pointer: String,
        /// What was wrong with it.
        reason: String,
    },
}

/// Reads the whole body, up to `limit_bytes`.
///
/// # Errors
/// [`BadBody::TooLarge`], [`BadBody::Incomplete`] and [`BadBody::Stopping`].
pub async fn read(payload: &mut Payload, limit_bytes: usize, stopping: &Stopping) -> Result<Bytes, BadBody> {
    tokio::select! {
        biased;
        body = tokio::time::timeout(ARRIVES_WITHIN, collect(payload, limit_bytes)) => {
            body.unwrap_or(Err(BadBody::Incomplete))
        }
        () = stopping.grace_over() => Err(BadBody::Stopping),
    }
}

async fn collect(payload: &mut Payload, limit_bytes: usize) -> Result<Bytes, BadBody> {
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BadBody::Incomplete)?;
        seen += chunk.len();
        if seen > limit_bytes.max(DRAIN_LIMIT_BYTES) {
            break;
        }
        if seen <= limit_bytes {
            body.extend_from_slice(&chunk);
        }
    }
    if seen > limit_bytes { Err(BadBody::TooLarge { limit_bytes }) } else { Ok(body.freeze()) }
}

/// A JSON object that holds a `T`. Alone, a struct reads from an array as well, by the order of its fields.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Parses a body that may be left out: one of length 0 reads as `T::default()`, whatever its `Content-Type` says.
///
/// # Errors
/// Every [`BadBody`] but those of [`read`].
pub fn parse_optional<T: DeserializeOwned + Default>(request: &HttpRequest, body: &[u8]) -> Result<T, BadBody> {
    if body.is_empty() { Ok(T::default()) } else { parse(request, body) }
}

/// Parses a body that must be there.
///
/// # Errors
/// Every [`BadBody`] but those of [`read`].
pub fn parse<T: DeserializeOwned>(request: &HttpRequest, body: &[u8]) -> Result<T, BadBody> {
    if body.is_empty() {
        return Err(BadBody::Malformed { reason: "it is empty; a JSON object is required".to_owned() });
    }
    if !is_json(request) {
        return Err(BadBody::UnsupportedMediaType);
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| BadBody::Malformed { reason: format!("invalid UTF-8 at byte {}", error.valid_up_to()) })?;
    if holds_nul(text) {
        return Err(BadBody::Malformed { reason: "U+0000 is not allowed in text".to_owned() });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| explain(&error))?;
    deserializer.end().map_err(|error| BadBody::Malformed { reason: error.to_string() })?;
    Ok(value)
}

fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(CONTENT_TYPE) else { return false };
    let Ok(text) = value.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    utf8 && (essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")))
}

/// Whether a string in the JSON text escapes U+0000. (A raw one is no valid JSON anyway.)
fn holds_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = text.as_bytes()[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
        backslashes % 2 == 0
    })
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> BadBody {
    let inner = error.inner();
    if !inner.is_data() {
        return BadBody::Malformed { reason: inner.to_string() };
    }
    let mut pointer = String::new();
    for segment in error.path() {
        let step = match segment {
            serde_path_to_error::Segment::Seq { index } => index.to_string(),
            serde_path_to_error::Segment::Map { key } => key.clone(),
            serde_path_to_error::Segment::Enum { variant } => variant.clone(),
            serde_path_to_error::Segment::Unknown => continue,
        };
        push(&mut pointer, &step);
    }
    let message = inner.to_string();
    // serde_json ends its messages with " at line L column C"; the pointer says it better.
    let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason).to_owned();
    if let Some(name) = unknown_field(&reason)
        && !pointer.ends_with(&format!("/{name}"))
    {
        push(&mut pointer, &name);
    }
    BadBody::Field { pointer, reason }
}

fn push(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

fn unknown_field(reason: &str) -> Option<String> {
    let rest = reason.strip_prefix("unknown field `")?;
    rest.split_once('`').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        name: Option<String>,
        modules: Option<Vec<String>>,
    }

    fn parse_json(text: &str) -> Result<Sample, BadBody> {
        let request = TestRequest::default().insert_header((CONTENT_TYPE, "application/json")).to_http_request();
        parse(&request, text.as_bytes())
    }

    #[test]
    fn a_wrong_type_is_pointed_to() {
        let error = parse_json(r#"{"modules": ["ad", 7]}"#).unwrap_err();
        assert!(matches!(error, BadBody::Field { ref pointer, .. } if pointer == "/modules/1"), "{error:?}");
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = parse_json(r#"{"nmae": "x"}"#).unwrap_err();
        assert!(matches!(error, BadBody::Field { ref pointer, .. } if pointer == "/nmae"), "{error:?}");
    }

    #[test]
    fn an_array_is_no_object_even_where_its_items_fit_the_fields() {
        for other in [r#"["x", ["ad"]]"#, "[]", "null", "7", r#""x""#] {
            let error = parse_json(other).unwrap_err();
            let BadBody::Field { pointer, reason } = &error else { panic!("{other}: {error:?}") };
            assert!(pointer.is_empty() && reason.ends_with("expected a JSON object"), "{other}: {reason}");
        }
    }

    #[test]
    fn nul_is_refused_only_where_it_is_escaped() {
        assert!(matches!(parse_json(r#"{"name": "a\u0000b"}"#), Err(BadBody::Malformed { .. })));
        assert_eq!(parse_json(r#"{"name": "a\\u0000b"}"#).unwrap().name.unwrap(), r"a\u0000b");
    }

    #[test]
    fn deep_nesting_and_trailing_text_are_malformed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_json(&deep).is_err());
        assert!(matches!(parse_json("{} {}"), Err(BadBody::Malformed { .. })));
    }

    #[test]
    fn an_empty_body_needs_no_content_type() {
        let form =
            TestRequest::default().insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded")).to_http_request();
        assert_eq!(parse_optional::<Sample>(&form, b"").unwrap(), Sample::default());
        assert_eq!(parse_optional::<Sample>(&form, b"{}").unwrap_err(), BadBody::UnsupportedMediaType);
    }
}
