//! What the process says of itself while it runs: log lines on standard error, as text for people or as JSON for
//! collectors, and, where an endpoint is configured, its spans to an OpenTelemetry collector.

mod export;
pub mod trace;

use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

use crate::config::{Config, LogFormat};

/// How long the last spans may take to reach the collector when the process stops.
pub const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// Ends the export with the process.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Starts logging and, if an endpoint is configured, exporting. Only the first call of a process counts. Must be called
/// within the runtime that is to carry the export.
///
/// # Errors
/// The export can't be set up.
pub fn init(config: &Config) -> anyhow::Result<Telemetry> {
    // The configuration has parsed the filter already.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let provider = config.otlp.as_ref().map(export::provider).transpose()?;
    // An error means that a subscriber is there, as when one process runs the service twice in a test.
    let _already_there = match &provider {
        None => registry().with(filter).with(lines(config)).try_init(),
        Some(provider) => {
            trace::exported();
            // Spans only, and only ours: what is logged stays in the log.
            let ours = FilterFn::new(|metadata| metadata.is_span() && metadata.target().starts_with("tenure"))
                .with_max_level_hint(LevelFilter::DEBUG);
            let spans = export::layer(provider).with_filter(ours);
            registry().with(lines(config).with_filter(filter)).with(spans).try_init()
        }
    };
    Ok(Telemetry { provider })
}

fn lines<S>(config: &Config) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

impl Telemetry {
    /// Sends what was not sent yet, for a bounded time.
    pub async fn shutdown(self) {
        let Some(provider) = self.provider else { return };
        // Blocks the thread it runs on; the requests themselves run here.
        let done = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSHED_WITHIN));
        match tokio::time::timeout(FLUSHED_WITHIN, done).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not exported"),
            Err(_) => tracing::warn!("the last spans were not exported in time"),
        }
    }
}
