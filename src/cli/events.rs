//! `tenure events`: a look at the log itself, beside a running service. Personal values stay sealed unless asked for.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tenure_aggregates::TenantId;
use tenure_event_log::{EventLog, LogConfig, MasterKey, Position, RecordedEvent};

use super::block_on;
use crate::config::Config;

/// How many events are read at once.
const PAGE: usize = 500;
/// How often a followed log is asked for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// What to look at.
#[derive(Subcommand)]
pub enum Events {
    /// Print the log's last events, one JSON object per line.
    Tail(Tail),
    /// Print one event by its position.
    Show(Show),
}

/// Which events.
#[derive(Args)]
pub struct Tail {
    /// How many of the last events.
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: u64,
    /// Everything after this position instead.
    #[arg(long, value_name = "POSITION", conflicts_with = "lines")]
    after: Option<u64>,
    /// Only events of this tenant.
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Go on printing what comes.
    #[arg(short, long)]
    follow: bool,
    /// Open personal values. Whoever reads the output reads personal data.
    #[arg(long)]
    open: bool,
}

/// Which event.
#[derive(Args)]
pub struct Show {
    /// Its place in the log, counted from 1.
    position: u64,
    /// Open personal values. Whoever reads the output reads personal data.
    #[arg(long)]
    open: bool,
}

impl Events {
    /// Reads the log, beside the service where one is running.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        block_on(async {
            let master_key = MasterKey::load(&config.master_key_path())?;
            let log = LogConfig::new(config.engine.clone(), master_key, config.clock());
            let log = EventLog::open_read_only(log).await.context("the log can't be opened")?;
            match self {
                Self::Tail(tail) => tail.run(&log).await,
                Self::Show(show) => show.run(&log).await,
            }
        })
    }
}

impl Tail {
    async fn run(&self, log: &EventLog) -> anyhow::Result<()> {
        let first = match self.after {
            Some(position) => position,
            None => log.head().await?.get().saturating_sub(self.lines),
        };
        let mut after = Position::new(first);
        loop {
            let page = match self.tenant {
                Some(tenant) => log.read_tenant(tenant.as_uuid(), after, PAGE).await?,
                None => log.read(after, PAGE).await?,
            };
            let Some(last) = page.last() else {
                if !self.follow {
                    return Ok(());
                }
                tokio::time::sleep(FOLLOW_EVERY).await;
                continue;
            };
            after = last.position;
            let page = if self.open { log.open_events(page).await? } else { page };
            let mut out = std::io::stdout().lock();
            for event in &page {
                writeln!(out, "{}", json_of(event)?)?;
            }
            out.flush()?;
        }
    }
}

impl Show {
    async fn run(&self, log: &EventLog) -> anyhow::Result<()> {
        let before = self.position.checked_sub(1).context("positions are counted from 1")?;
        let mut page = log.read(Position::new(before), 1).await?;
        if self.open {
            page = log.open_events(page).await?;
        }
        let event = page.pop().with_context(|| format!("the log has no position {}", self.position))?;
        println!("{}", serde_json::to_string_pretty(&json_of(&event)?)?);
        Ok(())
    }
}

fn json_of(event: &RecordedEvent) -> anyhow::Result<Value> {
    Ok(json!({
        "position": event.position,
        "stream": event.stream.to_string(),
        "sequence": event.sequence,
        "tenantId": event.tenant_id,
        "type": event.event_type,
        "version": event.event_version,
        "recordedAt": event.recorded_at,
        "payload": event.payload.parse::<Value>()?,
        "metadata": event.metadata.parse::<Value>()?,
    }))
}
