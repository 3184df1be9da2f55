//! The page that Prometheus reads, written from the counters as they stand.

use std::fmt;

use actix_web::web::Data;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tenure_event_log::{Distribution, Position};
use tenure_projections::export::{ExportState, ExportStatus};
use tenure_projections::{ProjectionState, ProjectionStatus};

use super::process::Process;
use crate::app::App;

/// Microseconds in a second, and members in a member: what a histogram's integers are divided by.
const MICROS: f64 = 1_000_000.0;
const WHOLE: f64 = 1.0;

/// The page as text in Prometheus' exposition format.
///
/// # Errors
/// None that is known of; the encoder's signature has one.
pub fn render(app: &Data<App>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(app.clone())));
    let mut page = String::new();
    prometheus_text::encode(&mut page, &registry)?;
    Ok(page)
}

struct Page(Data<App>);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let app = &self.0;
        requests(app, &mut encoder)?;
        log(app, &mut encoder)?;
        derived(app, &mut encoder)?;
        if let Some(export) = &app.export {
            exported(app, &export.status(), &mut encoder)?;
        }
        process(&mut encoder)
    }
}

fn requests(app: &App, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut done = Ok(());
    let mut counts =
        encoder.encode_descriptor("tenure_http_requests", "Answered requests", None, MetricType::Counter)?;
    app.http.each(|route| {
        for (method, stats) in route.methods() {
            for (class, count) in stats.classes() {
                let labels = [("route", route.route()), ("method", method), ("class", class)];
                done = done.and_then(|()| counted(&mut counts.encode_family(&labels)?, count));
            }
        }
    });
    let help = "Time from a request's head to its answer's head";
    let name = "tenure_http_request_duration_seconds";
    let mut durations = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    app.http.each(|route| {
        for (method, stats) in route.methods().filter(|(_, stats)| stats.classes().next().is_some()) {
            let labels = [("route", route.route()), ("method", method)];
            let snapshot = stats.micros.snapshot();
            done = done.and_then(|()| distributed(&mut durations.encode_family(&labels)?, &snapshot, MICROS));
        }
    });
    done?;
    gauge(encoder, "tenure_http_requests_in_flight", "Requests that are being answered", &app.http.in_flight())
}

fn log(app: &App, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if let Some(stats) = app.log.writer_stats() {
        let mut histogram = |name, help, distribution: &Distribution, unit| {
            distributed(&mut encoder.encode_descriptor(name, help, None, MetricType::Histogram)?, distribution, unit)
        };
        histogram("tenure_append_batch_members", "Appends per batch", &stats.batch_members.snapshot(), WHOLE)?;
        let help = "Time that the database took for a batch, flush included";
        histogram("tenure_append_duration_seconds", help, &stats.append_micros.snapshot(), MICROS)?;
        let help = "Appends by outcome; most of the refused ones are decided again";
        let mut appends = encoder.encode_descriptor("tenure_appends", help, None, MetricType::Counter)?;
        for (outcome, count) in [("committed", stats.committed()), ("refused", stats.refused())] {
            counted(&mut appends.encode_family(&[("outcome", outcome)])?, count)?;
        }
        let help = "Batches that the database gave no answer for";
        let mut failures = encoder.encode_descriptor("tenure_append_failures", help, None, MetricType::Counter)?;
        counted(&mut failures, stats.failures())?;
    }
    let waiting = app.log.waiting();
    let help = "Appends that wait for a place in a batch";
    let mut depth = encoder.encode_descriptor("tenure_append_queue_depth", help, None, MetricType::Gauge)?;
    for (lane, waiting) in [("foreground", waiting.foreground), ("background", waiting.background)] {
        depth.encode_family(&[("lane", lane)])?.encode_gauge(&waiting)?;
    }
    if let Some(age) = app.sampler.oldest_snapshot_age() {
        let help = "Transactions since the oldest snapshot that keeps dead rows alive";
        gauge(encoder, "tenure_oldest_snapshot_age_transactions", help, &age)?;
    }
    Ok(())
}

/// What follows the log: the gate and the projections.
fn derived(app: &App, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let gate = app.identity.gate();
    let projections = app.views.status();
    // Known without asking the database: the gate looks at it ten times a second.
    let reached = projections.iter().map(|projection| projection.position);
    let head = reached.chain([gate.position(), *app.log.local_head().borrow()]).max().unwrap_or_default();
    gauge(encoder, "tenure_log_head_position", "The log's last position that is known here", &head.get())?;
    let help = "Time since the gate has read the log to its end";
    gauge(encoder, "tenure_gate_age_seconds", help, &gate.age().as_secs_f64())?;
    gauge(encoder, "tenure_gate_position", "Up to where the gate has read the log", &gate.position().get())?;

    let mut each = |name, help, value: &dyn Fn(&ProjectionStatus) -> u64| -> fmt::Result {
        let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for projection in &projections {
            let state = match projection.state {
                ProjectionState::Live => "live",
                ProjectionState::Building => "building",
            };
            let labels = [("projection", projection.name), ("state", state)];
            gauge.encode_family(&labels)?.encode_gauge(&value(projection))?;
        }
        Ok(())
    };
    let behind = |position: Position| head.get().saturating_sub(position.get());
    let help = "Up to where the projection has applied the log";
    each("tenure_projection_position", help, &|projection| projection.position.get())?;
    let help = "Events that the projection has yet to apply";
    each("tenure_projection_lag_events", help, &|projection| behind(projection.position))?;
    let help = "1 while something stops the projection";
    each("tenure_projection_stopped", help, &|projection| u64::from(projection.problem.is_some()))
}

/// The billing export.
fn exported(app: &App, status: &ExportStatus, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "1 for what the billing export does";
    let mut one_of = encoder.encode_descriptor("tenure_export_state", help, None, MetricType::Gauge)?;
    for state in ExportState::ALL {
        one_of.encode_family(&[("state", state.as_str())])?.encode_gauge(&u64::from(status.state == state))?;
    }
    let head = app.log.local_head().borrow().max(app.views.position()).get();
    let help = "The last position whose billing event is exported";
    gauge(encoder, "tenure_export_position", help, &status.exported.get())?;
    if status.state != ExportState::Standby {
        let help = "Events of the log that the export is yet to look at";
        gauge(encoder, "tenure_export_lag_events", help, &head.saturating_sub(status.passed.get()))?;
    }
    let mut total =
        |name, help, count| counted(&mut encoder.encode_descriptor(name, help, None, MetricType::Counter)?, count);
    total("tenure_export_events", "Billing events that this instance exported", status.events)?;
    total("tenure_export_transactions", "Transactions that this instance committed", status.transactions)?;
    total("tenure_export_failures", "Transactions and connections that failed and were tried again", status.failures)
}

fn process(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut info = encoder.encode_descriptor("tenure_build_info", "This release", None, MetricType::Gauge)?;
    info.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?.encode_gauge(&1_u32)?;
    let process = Process::now();
    if let Some(bytes) = process.resident_bytes {
        gauge(encoder, "process_resident_memory_bytes", "Memory in use", &bytes)?;
    }
    if let Some(started) = process.started {
        gauge(encoder, "process_start_time_seconds", "Start of the process since 1970", &started)?;
    }
    if let Some(files) = process.open_files {
        gauge(encoder, "process_open_fds", "Open files and sockets", &files)?;
    }
    if let Some(seconds) = process.cpu_seconds {
        let help = "Processor time of the process";
        let mut cpu = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        cpu.encode_counter::<NoLabelSet, _, f64>(&seconds, None)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: &impl EncodeGaugeValue) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}

fn counted(encoder: &mut MetricEncoder<'_>, count: u64) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, f64>(&count, None)
}

#[expect(clippy::cast_precision_loss, reason = "sums and bounds stay far below 2^53")]
fn distributed(encoder: &mut MetricEncoder<'_>, distribution: &Distribution, unit: f64) -> fmt::Result {
    let bounds = distribution.bounds.iter().map(|bound| *bound as f64 / unit).chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(distribution.counts.iter().copied()).collect();
    let count = distribution.counts.iter().sum();
    encoder.encode_histogram::<NoLabelSet>(distribution.sum as f64 / unit, count, &buckets, None)
}
