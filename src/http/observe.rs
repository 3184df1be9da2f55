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
    let span = tracing::info_span!(
        "request",
        request.id = %id,
        http.method = %request.method(),
        http.route = tracing::field::Empty,
        http.status = tracing::field::Empty,
    );
    let in_flight = app.http.enter();
    let answer = async {
        // Only on a connection that outlives the listener.
        if app.stopping.refuses() {
            return Ok(request.into_response(errors::stopping().error_response()).map_into_right_body());
        }
        next.call(request).await.map(ServiceResponse::map_into_left_body)
    };
    let mut response = request_id::scope(id.clone(), answer.instrument(span.clone())).await?;
    drop(in_flight);
    let took = began.elapsed();

    let (status, request) = (response.status(), response.request());
    let route = app.http.of(request);
    route.count(request.method(), status, took);
    span.record("http.status", status.as_u16());
    span.record("http.route", route.route());
    span.in_scope(|| tracing::debug!("answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if app.stopping.has_begun() {
        // A client that comes back connects anew, perhaps to another instance.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
