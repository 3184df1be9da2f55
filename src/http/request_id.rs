//! Gives every request an id that its answer, its log lines and its events share.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers; empty outside of a request.
#[must_use]
pub fn current() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// The client's `X-Request-Id`, where it is short and plain.
fn from_client(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned())
}

/// Sets the id, opens the request's span and returns the id to the client.
///
/// # Errors
/// Whatever the service below answers with.
pub async fn assign<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let id = request.headers().get(REQUEST_ID).and_then(from_client);
    let id = id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        http.method = %request.method(),
        http.route = tracing::field::Empty,
        http.status = tracing::field::Empty,
    );
    let mut response = CURRENT.scope(id.clone(), next.call(request).instrument(span.clone())).await?;
    span.record("http.status", response.status().as_u16());
    if let Some(route) = response.request().match_pattern() {
        span.record("http.route", route);
    }
    span.in_scope(|| tracing::debug!("answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}
