//! What is done around every request, whichever dialect answers it: its id, its span, its counters and its access line.

use std::time::Instant;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use tracing::Instrument;

use super::request_id::{self, REQUEST_ID};
use crate::app::App;
use crate::native::errors;
use crate::netbird;
use crate::telemetry::trace;

/// Answers the request under its id, in its span, and counts it.
///
/// # Errors
/// Whatever the service below answers with.
pub async fn observe<B: MessageBody>(
    app: Data<App>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let began = Instant::now();
    let id = request_id::of(request.headers());
    // As visible as the least that is logged, so that every line within a request carries its id.
    let span = tracing::error_span!(
        "request",
        request.id = %id,
        http.method = %request.method(),
        http.route = tracing::field::Empty,
        http.status = tracing::field::Empty,
        trace.id = tracing::field::Empty,
        otel.kind = trace::is_exported().then_some("server"),
    );
    let trace_id = trace::adopt(&span, request.headers());
    if let Some(trace_id) = trace_id {
        span.record("trace.id", tracing::field::display(trace_id));
    }
    let in_flight = app.http.enter();
    let answer = async {
        // Only on a connection that outlives the listener.
        if app.stopping.refuses() {
            let refusal = if netbird::serves(request.path()) {
                netbird::errors::Refusal::stopping().error_response()
            } else {
                errors::stopping().error_response()
            };
            return Ok(request.into_response(refusal).map_into_right_body());
        }
        next.call(request).await.map(ServiceResponse::map_into_left_body)
    };
    let mut response = request_id::scope(id.clone(), answer.instrument(span.clone())).await?;
    drop(in_flight);
    let took = began.elapsed();

    let (status, request) = (response.status(), response.request());
    let route = app.http.of(request);
    route.count(request.method(), status, took);
    trace::answered(&span, request.method(), route.route(), status);
    // Outside of the span, since its own fields hold everything that stands there.
    tracing::debug!(
        target: "tenure::access",
        parent: None,
        {
            request.id = %id,
            trace.id = trace_id.map(tracing::field::display),
            http.method = %request.method(),
            http.route = route.route(),
            http.status = status.as_u16(),
            duration_ms = took.as_secs_f64() * 1_000.0,
        },
        "answered"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if app.stopping.has_begun() {
        // A client that comes back connects anew, perhaps to another instance.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
