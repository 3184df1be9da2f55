//! The command line. Each subcommand has a file of its own; this one only names them.

mod backup;
mod billing;
mod config;
mod events;
mod health;
mod migrate;
mod pat;
mod projections;
mod serve;
mod token;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tenure_event_log::{EngineConfig, EventLog, LogConfig, MasterKey};
use tenure_projections::Views;

use crate::config::{Config, ConfigError};
use crate::control::socket_path;

/// Event-sourced tenant management for managed service providers.
///
/// Start with `tenure serve`: without any configuration it keeps everything in ./data, listens on 127.0.0.1:7101 and
/// prints a token to try it with. Settings come from a file (--config) and from TENURE_* environment variables;
/// `tenure config check` shows the result.
#[derive(Parser)]
#[command(name = "tenure", version, propagate_version = true)]
struct Cli {
    /// A TOML file with settings; its form is that of `tenure config default`.
    #[arg(long, global = true, env = "TENURE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service until it is told to stop (SIGTERM or Ctrl-C).
    Serve(serve::Serve),
    /// Bring the database's schema up to this release, then leave.
    ///
    /// In development mode `serve` does this itself. In production run it once, before the new release starts; releases
    /// that are still running go on working, because migrations only expand.
    Migrate,
    /// Copy the embedded engine's log and the master key into a directory, while the service runs.
    Backup(backup::Backup),
    /// Print a token signed with the data directory's development key, and nothing else.
    Token(token::Token),
    /// Make, list and revoke personal access tokens of a running service.
    ///
    /// `TENURE_URL` is the service's address, `TENURE_TOKEN` the token to ask it with: a signed one or an access token. That
    /// one is no argument, since every user of a machine sees those.
    Pat(pat::Pat),
    /// List the views, or rebuild one beside the live one.
    #[command(subcommand)]
    Projections(projections::Projections),
    /// Go on with a stopped billing export, or write billing events once more.
    #[command(subcommand)]
    Billing(billing::Billing),
    /// Look at the log itself.
    #[command(subcommand)]
    Events(events::Events),
    /// Check or show the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Ask the running service whether it is ready; exits 0 if so, 1 if not.
    Health,
}

/// Runs the command line of this process.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(&cli) {
        Ok(code) => code,
        Err(error) => {
            if let Some(wrong) = error.downcast_ref::<ConfigError>() {
                eprintln!("tenure: {wrong}");
                return ExitCode::from(2);
            }
            // `{:#}` puts the chain of causes on one line.
            eprintln!("tenure: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli) -> anyhow::Result<ExitCode> {
    let load = || Config::load(cli.config.as_deref());
    match &cli.command {
        Command::Serve(serve) => serve.run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Migrate => migrate::run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Backup(backup) => backup.run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Token(token) => token.run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Pat(pat) => pat.run(),
        Command::Projections(projections) => projections.run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Billing(billing) => billing.run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Events(events) => events.run(&load()?).map(|()| ExitCode::SUCCESS),
        Command::Config(command) => command.run(cli.config.as_deref()).map(|()| ExitCode::SUCCESS),
        Command::Health => health::run(&load()?),
    }
}

/// Runs a future to its end on a small runtime; for every command but `serve`.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // A rebuild of the views keeps every core busy.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
}

/// Where this machine reaches a service that listens on `address`: by loopback, if it listens on every interface.
fn from_this_machine(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A client of the service's control socket, where the embedded engine is in use by a service.
fn running_service(config: &Config) -> anyhow::Result<Option<reqwest::Client>> {
    let socket = socket_path(&config.data_dir);
    let embedded = matches!(config.engine, EngineConfig::Sqlite { .. });
    if !embedded || std::os::unix::net::UnixStream::connect(&socket).is_err() {
        return Ok(None);
    }
    Ok(Some(reqwest::Client::builder().unix_socket(socket).build()?))
}

/// Opens log and views, hands them over and closes them; nothing is applied unless the work says so.
async fn with_views<T>(config: &Config, work: impl AsyncFnOnce(&Views) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let master_key = MasterKey::load(&config.master_key_path())?;
    let log_config = LogConfig::new(config.engine.clone(), master_key, config.clock());
    let log = EventLog::open(log_config).await.context("the log can't be opened")?;
    let views = Views::open(config.views(), log.clone()).await.context("the views can't be opened")?;
    let result = work(&views).await;
    views.shutdown().await;
    log.shutdown().await;
    result
}

/// Opens log and views for reading, beside a service where one is running, hands them over and closes them.
async fn reading_views<T>(
    config: &Config,
    work: impl AsyncFnOnce(&EventLog, &Views) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let master_key = MasterKey::load(&config.master_key_path())?;
    let log_config = LogConfig::new(config.engine.clone(), master_key, config.clock());
    let log = EventLog::open_read_only(log_config).await.context("the log can't be opened")?;
    let views = Views::open_read_only(config.views(), log.clone()).await.context("the views can't be opened")?;
    let result = work(&log, &views).await;
    views.shutdown().await;
    log.shutdown().await;
    result
}
