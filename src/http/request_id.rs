//! Gives every request an id that its answer, its log lines and its events share.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// Where the id comes and goes.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers; empty outside of a request.
#[must_use]
pub fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Answers a request under this id.
pub async fn scope<F: Future>(id: String, answer: F) -> F::Output {
    CURRENT.scope(id, answer).await
}

/// The client's `X-Request-Id` where it is short and plain, otherwise a new one.
pub fn of(headers: &HeaderMap) -> String {
    headers.get(REQUEST_ID).and_then(from_client).unwrap_or_else(|| Uuid::now_v7().to_string())
}

fn from_client(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned())
}
