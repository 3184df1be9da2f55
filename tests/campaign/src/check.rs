//! The comparison that ends a scenario: what the log holds against what the clients were told, and everything derived
//! from the log against the log.

mod beside;
mod commands;
mod exported;
mod fold;
mod views;

use anyhow::bail;

use crate::cell::Cell;
use crate::history::History;

pub use exported::exported;
pub use fold::{Fact, Facts};
pub use views::{Dump, Release, dump, releases_differ};

/// Most faults that a report names; the first ones say enough.
const NAMED: usize = 20;

/// Checks the log and what stands beside it, while the service runs or not: positions without a gap, streams that can be
/// folded, each command there as often as its answers promise, claims and limits as the events declare them.
///
/// # Errors
/// Names what is wrong.
pub async fn log(cell: &Cell, history: &History) -> anyhow::Result<Facts> {
    let log = cell.log().await?;
    let facts = fold::facts(&log).await;
    log.shutdown().await;
    let facts = facts?;
    let mut faults = history.surprises.clone();
    faults.extend(facts.faults.iter().cloned());
    commands::compare(history, &facts, &mut faults);
    beside::compare(cell, &facts, &mut faults).await?;
    verdict(&faults)?;
    Ok(facts)
}

/// Checks everything: the log as [`log`] does, and each view against a rebuild of it. Starts the first instance to let
/// the views catch up, then stops all of them: nothing runs afterwards.
///
/// # Errors
/// Names what is wrong.
pub async fn everything(cell: &mut Cell, history: &History) -> anyhow::Result<Facts> {
    views::catch_up_and_stop(cell).await?;
    let facts = log(cell, history).await?;
    verdict(&views::compare(cell, &facts).await?)?;
    Ok(facts)
}

fn verdict(faults: &[String]) -> anyhow::Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = faults.iter().take(NAMED).map(String::as_str).collect();
    bail!("{} faults:\n  {}", faults.len(), named.join("\n  "))
}
