//! Measures Tenure beside what people would use instead, in one run on one machine, load generator included.
//!
//! `make bench` runs all of it and writes `bench/RESULTS.md` with `bench/results.svg`. `--only` runs a part and only
//! prints. Every acknowledged command is looked for in the log and in the views afterwards.

mod cpu;
mod export;
mod http;
mod link;
mod load;
mod pgbench;
mod plot;
mod report;
mod results;
mod service;
mod sqlite;
mod suite;
mod verify;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use results::Results;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Tenure beside bare PostgreSQL, stock cqrs-es and bare SQLite. `DATABASE_URL` names a local PostgreSQL.
#[derive(Parser)]
struct Options {
    /// Something else than the suite.
    #[command(subcommand)]
    instead: Option<Instead>,
    /// The program to measure, built with --release.
    #[arg(long, default_value = "target/release/tenure")]
    tenure: PathBuf,
    /// Seconds that each run is measured, after two of warming up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds of the runs with and without a snapshot held open.
    #[arg(long, default_value_t = 60)]
    snapshot_seconds: u64,
    /// Tenants to fill the log with before the last runs; 0 leaves those out.
    #[arg(long, default_value_t = 1_000_000)]
    tenants: usize,
    /// Runs only what has one of these in its name, for example `postgres/provision/256,pgbench`. Writes no file.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the embedded engine keeps its files: the same disk as PostgreSQL's.
    #[arg(long, default_value = "target")]
    directory: PathBuf,
    /// Where the results go.
    #[arg(long, default_value = "bench/RESULTS.md")]
    out: PathBuf,
}

#[derive(Subcommand)]
enum Instead {
    /// Measures the billing export beside a plain idempotent producer. `KAFKA_BROKERS` names a local broker.
    Export(export::Options),
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut results = Results::new(&options.only);
    let suite = suite::Suite {
        tenure: std::path::absolute(&options.tenure)?,
        directory: std::path::absolute(&options.directory)?,
        measured: Duration::from_secs(options.seconds),
        snapshot: Duration::from_secs(options.snapshot_seconds),
        tenants: options.tenants,
    };
    if let Some(Instead::Export(options)) = &options.instead {
        return export::run(options, &suite);
    }
    suite.run(&mut results)?;
    let report = report::markdown(&results, &suite);
    println!("\n{report}");
    if options.only.is_empty() {
        std::fs::write(&options.out, report)?;
        plot::write(&results, &options.out.with_file_name("results.svg"))?;
    }
    Ok(())
}
