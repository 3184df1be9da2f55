//! `tenure billing reconcile`: what a copy of the billing events has to add up to.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tenure_aggregates::TenantId;
use tenure_event_log::{EventLog, Position};
use tenure_projections::Views;
use tenure_projections::billing::{MonthTotal, Reconciliation, msps};
use tenure_projections::export::{Checked, ExportSettings, Part, check};

use crate::cli::{block_on, reading_views};
use crate::config::Config;
use crate::moment::{self, Moment, Range};
use crate::native::billing::reconciliation::BillingMonth;

/// Which time, and how it is shown.
#[derive(Args)]
pub struct Reconcile {
    /// Events that occurred on this day (YYYY-MM-DD, UTC) or at this moment (RFC 3339), or later.
    #[arg(long, value_name = "WHEN")]
    from: Option<Moment>,
    /// Events that occurred on this day or at this moment, or earlier.
    #[arg(long, value_name = "WHEN")]
    to: Option<Moment>,
    /// Hold a Kafka topic against the log instead: missing, extra, doubled, altered and misplaced events. Without a name
    /// the topic that this cell exports to. Exits 1 if anything is found.
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "an option whose value may be left out")]
    topic: Option<Option<String>>,
    /// Only the events of this tenant: what a replay with --tenant wrote.
    #[arg(long, value_name = "ID", requires = "topic")]
    tenant: Option<TenantId>,
    /// Print JSON: the array that the API answers, or an object with what was found in the topic.
    #[arg(long)]
    json: bool,
}

impl Reconcile {
    /// Reads the views as they are; says so where they have not read the whole log.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let range = moment::range(self.from, self.to).context("--from must not be later than --to")?;
        match &self.topic {
            None => block_on(reading_views(config, async |log, views| self.sum(log, views, range).await)),
            Some(topic) => {
                let settings = config.export.as_ref().context("no brokers are configured (kafka_brokers)")?;
                let topic = topic.as_deref().unwrap_or(&settings.topic);
                let part = Part { from: range.0, to: range.1, tenant: self.tenant };
                block_on(reading_views(config, async |_, views| self.hold(settings, views, topic, part).await))
            }
        }
    }

    async fn hold(&self, settings: &ExportSettings, views: &Views, topic: &str, part: Part) -> anyhow::Result<()> {
        let Checked { report, upto, since } = check(settings, views, topic, part).await?;
        let mut out = std::io::stdout().lock();
        if self.json {
            let mut found = serde_json::to_value(&report)?;
            found["topic"] = json!(topic);
            found["position"] = json!(upto.get());
            writeln!(out, "{found:#}")?;
        } else {
            for finding in &report.findings {
                writeln!(out, "{finding}")?;
            }
            writeln!(
                out,
                "{topic}: {} records, {} events in the log up to position {upto}; {}.",
                report.records, report.events, report.counts
            )?;
        }
        out.flush()?;
        if since > Position::START {
            eprintln!(
                "The export was told to begin after position {since}: what was before may be missing, or have come twice."
            );
        }
        anyhow::ensure!(report.is_clean(), "{topic} does not hold what the log says");
        Ok(())
    }

    async fn sum(&self, log: &EventLog, views: &Views, (from, to): Range) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let mut begun = false;
        let mut position = None;
        if !self.json {
            writeln!(out, "{:<36}  {:<20}  {:<7}  {:>10}  SHA-256", "TENANT", "SHORT CODE", "MONTH", "EVENTS")?;
        }
        for msp in msps(views).await? {
            let mut months = Reconciliation::begin(views, msp, from, to).await?;
            while let Some(totals) = months.next(views).await? {
                for total in totals {
                    if self.json {
                        out.write_all(if begun { b",\n" } else { b"[" })?;
                        serde_json::to_writer(&mut out, &BillingMonth::from(total))?;
                        begun = true;
                    } else {
                        print(&mut out, &total)?;
                    }
                }
            }
            position = position.max(Some(months.position()));
        }
        if self.json {
            out.write_all(if begun { b"]\n" } else { b"[]\n" })?;
        }
        out.flush()?;
        let head = log.head().await?;
        if let Some(position) = position
            && position < head
        {
            eprintln!("The views have read the log up to {position} of {head}; later events are not counted.");
        }
        Ok(())
    }
}

fn print(out: &mut impl Write, total: &MonthTotal) -> std::io::Result<()> {
    let MonthTotal { tenant_id, short_code, month, count, sha256 } = total;
    // Padding works on text only.
    let (tenant_id, month) = (tenant_id.to_string(), month.to_string());
    writeln!(out, "{tenant_id:<36}  {short_code:<20}  {month:<7}  {count:>10}  {sha256}")
}
