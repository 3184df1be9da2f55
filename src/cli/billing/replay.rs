//! `tenure billing replay`: billing events once more, to a topic of their own.
//!
//! It reads beside the running service and asks nothing of it: views and log are opened for reading only.

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tenure_aggregates::TenantId;
use tenure_event_log::Position;
use tenure_projections::billing::BillingRange;
use tenure_projections::export::{self, Selection};
use uuid::Uuid;

use crate::cli::{block_on, reading_views};
use crate::config::{Config, kafka_topic};
use crate::moment::{ALLOWED, Moment};

/// Which billing events go where.
#[derive(Args)]
pub struct Replay {
    /// The first day (2026-04-01, UTC), moment (2026-04-01T00:00:00Z) or position of the log (4711).
    #[arg(long, value_name = "DAY|MOMENT|POSITION", value_parser = Bound::parse)]
    from: Bound,
    /// The last day, moment or position, inclusive.
    #[arg(long, value_name = "DAY|MOMENT|POSITION", value_parser = Bound::parse)]
    to: Bound,
    /// Only events of this tenant.
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Where to. Made where there is none, with the settings of the live topic; that one itself is refused.
    #[arg(long, value_name = "NAME", value_parser = topic, required_unless_present = "dry_run")]
    topic: Option<String>,
    /// Only say how many events of each type there are.
    #[arg(long)]
    dry_run: bool,
}

/// An end of the range.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Position(Position),
    Moment(Moment),
}

impl Bound {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(position) => Ok(Self::Position(Position::new(position))),
            Err(_) => text
                .parse()
                .map(Self::Moment)
                .map_err(|_| format!("must be a position of the log such as 4711, or {ALLOWED}")),
        }
    }
}

fn topic(name: &str) -> Result<String, String> {
    kafka_topic(name).ok_or_else(|| "must be letters, digits, dots, hyphens and underscores, at most 249".to_owned())
}

impl Replay {
    /// Counts, says what will be done, does it, and says so.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let range = self.range()?;
        block_on(reading_views(config, async |_, views| {
            let selection = Selection::of(views, range).await?;
            for (name, count) in selection.counts() {
                println!("{name:<24} {count:>12}");
            }
            let total = selection.total();
            println!("{:<24} {total:>12}", "total");
            let Some(topic) = self.topic.as_deref().filter(|_| !self.dry_run) else {
                println!("Nothing was written.");
                return Ok(());
            };
            let settings = config.export.as_ref().context("no brokers are configured (kafka_brokers)")?;
            let id = Uuid::now_v7();
            println!("Replay {id} to topic {topic}:");
            let bar = bar(total)?;
            let replayed =
                export::replay(settings, views, &selection, topic, id, |written| bar.set_position(written)).await;
            bar.finish_and_clear();
            replayed?;
            println!("{total} records are written and acknowledged, each marked ce_replayid={id}.");
            Ok(())
        }))
    }

    fn range(&self) -> anyhow::Result<BillingRange> {
        let mut range = BillingRange { tenant: self.tenant, ..BillingRange::ALL };
        match self.from {
            Bound::Position(position) => range.first = position,
            Bound::Moment(moment) => range.from = Some(moment.first),
        }
        match self.to {
            Bound::Position(position) => range.last = position,
            Bound::Moment(moment) => range.to = Some(moment.after),
        }
        let is_empty =
            range.first > range.last || matches!((range.from, range.to), (Some(from), Some(to)) if from >= to);
        anyhow::ensure!(!is_empty, "--from must not be later than --to");
        Ok(range)
    }
}

/// On standard error, and only where that is a terminal.
fn bar(total: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len}, {per_sec}, {eta} to go")?;
    Ok(ProgressBar::new(total).with_style(style))
}
