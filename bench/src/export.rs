//! The billing export: how fast it is on a filled log, beside a plain producer, and how late events become visible.

mod fill;
mod page;
mod steady;
mod topic;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tenure_projections::export::ExportSettings;
use tenure_test_engines::shared_kafka;
use uuid::Uuid;

use crate::cpu::{self, Processes};
use crate::service::{Engine, Service};
use crate::suite::{self, Suite};

/// How long the views, and then the export, may take.
const WITHIN: Duration = Duration::from_mins(10);
/// How often the service is asked how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// What is measured.
#[derive(clap::Args)]
pub struct Options {
    /// `postgres` or `sqlite`; several separated by commas.
    #[arg(long, default_value = "postgres", value_delimiter = ',', value_parser = ["postgres", "sqlite"])]
    engine: Vec<String>,
    /// Billing events in the log.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Commands per second of the steady run.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds of the steady run, after five of warming up.
    #[arg(long, default_value_t = 30)]
    steady_seconds: u64,
    /// Where the results go; none are written without it.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// What one engine came to.
pub struct Measured {
    pub label: String,
    pub events: usize,
    pub partitions: i32,
    pub filled_in: Duration,
    pub exported_in: Duration,
    pub transactions: u64,
    /// Resident memory when the first events were exported, at most, and at the end; in bytes.
    pub memory: [u64; 3],
    /// CPU seconds of service, database and this process while it exported.
    pub cpu: cpu::Cpu,
    pub plain_in: Duration,
    pub bytes: usize,
    pub steady: steady::Seen,
}

/// How the service says that it does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    ready: bool,
    export: Option<Export>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    state: String,
    position: u64,
    reason: Option<String>,
}

/// Measures and writes the page.
///
/// # Errors
/// Something does not start, or the topic does not hold what the log does.
pub fn run(options: &Options, suite: &Suite) -> anyhow::Result<()> {
    let brokers = shared_kafka().context("the export needs a broker")?;
    let mut all = Vec::new();
    for label in &options.engine {
        all.push(measure(options, suite, label, &brokers).with_context(|| format!("on {label}"))?);
    }
    let page = page::markdown(&all, options);
    println!("\n{page}");
    if let Some(out) = &options.out {
        std::fs::write(out, page)?;
    }
    Ok(())
}

fn measure(options: &Options, suite: &Suite, label: &str, brokers: &str) -> anyhow::Result<Measured> {
    let (_database, engine) = suite::engine(label)?;
    let mut service = Service::start(&suite.tenure, &engine, &suite.directory)?;
    wait(&service, |health| health.ready)?;
    // The embedded engine's log is written by one process.
    service.stop();
    let began = Instant::now();
    let filled = fill::fill(&service.config, options.events)?;
    let filled_in = began.elapsed();
    println!("{label}: {} events in the log after {:.1} s", filled.events, filled_in.as_secs_f64());
    service.start_again(&[])?;
    wait(&service, |health| health.ready)?;
    println!("{label}: the views have caught up after {:.1} s", began.elapsed().as_secs_f64());

    let (name, mut settings) = (Uuid::now_v7(), ExportSettings::new(vec![brokers.to_owned()]));
    settings.topic = format!("bench-{name}");
    service.start_again(&[
        ("TENURE_KAFKA_BROKERS", brokers.to_owned()),
        ("TENURE_KAFKA_TOPIC", settings.topic.clone()),
        ("TENURE_KAFKA_PROGRESS_TOPIC", format!("bench-{name}-progress")),
        ("TENURE_CELL", name.to_string()),
    ])?;
    let database = match &engine {
        Engine::Postgres(url) => Some(suite::postmaster(url)?),
        Engine::Sqlite => None,
    };
    let processes = Processes { service: Some(service.id()), database };
    let exported = export(&service, &processes, filled.head)?;
    let per_second = page::rate(filled.events, exported.took);
    println!("{label}: exported in {:.2} s, {per_second:.0} events/s", exported.took.as_secs_f64());

    let records = topic::read(&settings, &settings.topic)?;
    ensure!(records.len() == filled.events, "{} records in the topic, {} events", records.len(), filled.events);
    let bytes = records.iter().map(topic::Kept::len).sum();
    let plain_in = topic::send(&settings, &format!("bench-{name}-plain"), &records)?;
    println!("{label}: a plain producer takes {:.2} s", plain_in.as_secs_f64());
    drop(records);

    let steady = steady::run(&service, &settings, filled.tenants, options.rate, options.steady_seconds)?;
    Ok(Measured {
        label: label.to_owned(),
        events: filled.events,
        partitions: settings.partitions,
        filled_in,
        exported_in: exported.took,
        transactions: exported.transactions,
        memory: exported.memory,
        cpu: exported.cpu,
        plain_in,
        bytes,
        steady,
    })
}

struct Exported {
    took: Duration,
    transactions: u64,
    memory: [u64; 3],
    cpu: cpu::Cpu,
}

/// Watches the export from its first look at the log to the head.
fn export(service: &Service, processes: &Processes, head: u64) -> anyhow::Result<Exported> {
    let mut began = (Instant::now(), processes.cpu());
    let mut memory = [0, 0, 0];
    let mut is_exporting = false;
    wait(service, |health| {
        let Some(export) = &health.export else { return false };
        if !is_exporting && export.state != "exporting" {
            began = (Instant::now(), processes.cpu());
            return false;
        }
        is_exporting = true;
        let now = processes.memory();
        if memory[0] == 0 && export.position > 0 {
            memory[0] = now;
        }
        memory = [memory[0], memory[1].max(now), now];
        export.position >= head
    })?;
    let (took, cpu) = (began.0.elapsed(), cpu::spent(began.1, processes.cpu()));
    let metrics = get(service, "/metrics")?;
    let transactions = metrics.lines().find_map(|line| line.strip_prefix("tenure_export_transactions_total "));
    let transactions = transactions.context("no such metric")?.trim().parse()?;
    Ok(Exported { took, transactions, memory, cpu })
}

/// Asks the service until it does as it should.
fn wait(service: &Service, mut is: impl FnMut(&Health) -> bool) -> anyhow::Result<()> {
    let until = Instant::now() + WITHIN;
    loop {
        let health: Health = serde_json::from_str(&get(service, "/health/ready")?)?;
        if is(&health) {
            return Ok(());
        }
        let reason = health.export.and_then(|export| export.reason).unwrap_or_default();
        ensure!(Instant::now() < until, "the service does not get there: {reason}");
        std::thread::sleep(LOOK);
    }
}

fn get(service: &Service, path: &str) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut connection = crate::http::Connection::open(service.address).await?;
        let answer = connection.send(crate::http::Ask::plain(path)).await?;
        Ok(String::from_utf8(answer.body.to_vec())?)
    })
}
