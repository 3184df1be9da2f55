//! The trace that a request belongs to, taken over from a client that sends W3C's `traceparent`.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Status, TraceContextExt, TraceId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Spans are exported from now on.
pub(super) fn exported() {
    EXPORTED.store(true, Ordering::Relaxed);
}

/// Whether spans are exported at all.
pub fn is_exported() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// Makes the client's span the parent of this one, which was not entered yet. Answers the trace's id: the client's, or the
/// one that begins here; `None` where nobody traces.
pub fn adopt(span: &Span, headers: &HeaderMap) -> Option<TraceId> {
    let parent = headers.contains_key(TRACEPARENT).then(|| {
        let none = Context::new();
        TraceContextPropagator::new().extract_with_context(&none, &Headers(headers))
    });
    let id = |context: &Context| {
        let id = context.span().span_context().trace_id();
        (id != TraceId::INVALID).then_some(id)
    };
    if !is_exported() {
        return id(&parent?);
    }
    if let Some(parent) = parent
        && let Err(error) = span.set_parent(parent)
    {
        tracing::debug!(%error, "a client's trace is not continued");
    }
    id(&span.context())
}

/// Names the exported span by what became known of it.
pub fn answered(span: &Span, method: &Method, route: &str, status: StatusCode) {
    if !is_exported() {
        return;
    }
    // No line is written within the span any more: only whoever gets it wants to know.
    span.record("http.status", status.as_u16());
    span.record("http.route", route);
    span.context().span().update_name(format!("{method} {route}"));
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
