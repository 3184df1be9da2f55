//! `tenure billing reconcile`: what a copy of the billing events has to add up to.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use tenure_event_log::EventLog;
use tenure_projections::Views;
use tenure_projections::billing::{MonthTotal, Reconciliation, msps};

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
    /// Print the JSON array that the API answers.
    #[arg(long)]
    json: bool,
}

impl Reconcile {
    /// Reads the views as they are; says so where they have not read the whole log.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let range = moment::range(self.from, self.to).context("--from must not be later than --to")?;
        block_on(reading_views(config, async |log, views| self.sum(log, views, range).await))
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
