//! Spans on their way to a collector: OTLP over HTTP with protobuf, in batches, from a thread of the SDK's own.
//!
//! A full queue drops spans, and a collector that is gone costs nothing but them: nobody who answers a request ever waits
//! here.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Tracer};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

use crate::config::OtlpConfig;

/// How long the collector may take to answer a batch.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// How often finished spans are sent.
const SENT_EVERY: Duration = Duration::from_secs(1);
/// Finished spans that may wait; a further one is dropped.
const QUEUE: usize = 8_192;

/// Samples and exports spans until it is shut down.
pub fn provider(config: &OtlpConfig) -> anyhow::Result<SdkTracerProvider> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new()?)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(ANSWERED_WITHIN)
        .with_endpoint(format!("{}/v1/traces", config.endpoint.as_str().trim_end_matches('/')))
        .build()?;
    let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(SENT_EVERY).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    // Who calls with a sampled trace gets it whole.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sampling_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampler)
        .with_resource(resource())
        .build())
}

/// The layer that hands spans to the provider.
pub fn layer<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, Tracer>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tenure"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
}

/// Which service the spans are of. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more.
fn resource() -> Resource {
    let builder = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
    ]);
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => builder.build(),
        None => builder.with_service_name("tenure").build(),
    }
}

/// The service's own HTTP client. The SDK's thread has no runtime, so each request runs on the service's.
struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Handle,
    failing: AtomicBool,
}

impl Client {
    fn new() -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWERED_WITHIN).build()?;
        Ok(Self { http, runtime: tokio::runtime::Handle::try_current()?, failing: AtomicBool::new(false) })
    }

    /// The first failure of several is logged, and the end of them.
    fn note(&self, failure: Option<&dyn fmt::Display>) {
        match (self.failing.swap(failure.is_some(), Ordering::Relaxed), failure) {
            (false, Some(error)) => tracing::warn!(%error, "spans can't be exported; some will be missing"),
            (true, None) => tracing::info!("spans are exported again"),
            (false, None) | (true, Some(_)) => {}
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        let answer = self.runtime.spawn(async move {
            let answer = http.execute(request).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let answer = answer.await?;
        let (status, body) = answer.inspect_err(|error| self.note(Some(error)))?;
        if status.is_success() {
            self.note(None);
        } else {
            self.note(Some(&format_args!("the collector answered {status}")));
        }
        Ok(Response::builder().status(status).body(body)?)
    }
}
