//! The views against a rebuild of them: the same rows, and all of the log in them.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::Facts;
use crate::cell::Cell;
use crate::tables::{Part, rows};

/// As `tenure projections list` names them.
const VIEWS: [&str; 4] = ["tenants", "billing", "deadlines", "usage"];

/// Rows of each table of the live generations; tables are named without their generation.
type Dump = BTreeMap<String, Vec<String>>;

/// Lets an instance bring the views up to the log's end, then ends all of them in order.
///
/// # Errors
/// The first instance does not get ready, or one does not stop.
pub async fn catch_up_and_stop(cell: &mut Cell) -> anyhow::Result<()> {
    for instance in cell.instances.iter_mut().skip(1) {
        instance.stop().await?;
    }
    let first = cell.instances.first_mut().context("a cell without an instance")?;
    // Ready means: the views have passed the head that the log had at the start.
    first.stop().await?;
    first.ready().await?;
    first.stop().await
}

/// What differs between the views and a rebuild of them.
///
/// # Errors
/// The views can't be read or rebuilt.
pub async fn compare(cell: &Cell, facts: &Facts) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    let before = dump(cell).await?;
    ensure!(before.len() >= VIEWS.len(), "views are missing: {:?}", before.keys());
    let behind = "select c.name, c.position from {}checkpoints c join {}pointers p \
                  on c.name = p.view_name || '_v' || p.generation \
                  where p.version = (select min(o.version) from {}pointers o where o.view_name = p.view_name)";
    for row in rows(cell, Part::Views, behind).await? {
        if row.rsplit_once('|').is_none_or(|(_, position)| position != facts.head.to_string()) {
            faults.push(format!("the view {row} does not stand at the head {}", facts.head));
        }
    }
    for view in VIEWS {
        cell.tenure(&["projections", "rebuild", view]).await?;
    }
    let after = dump(cell).await?;
    for (table, rebuilt) in &after {
        let live = before.get(table).map(Vec::as_slice).unwrap_or_default();
        if live != rebuilt {
            // Rows come sorted.
            let only = |these: &[String], those: &[String]| {
                these.iter().find(|row| those.binary_search(row).is_err()).cloned()
            };
            faults.push(format!(
                "{table} has {} rows, rebuilt {}: only live {:?}, only rebuilt {:?}",
                live.len(),
                rebuilt.len(),
                only(live, rebuilt),
                only(rebuilt, live)
            ));
        }
    }
    Ok(faults)
}

async fn dump(cell: &Cell) -> anyhow::Result<Dump> {
    // Where two releases run side by side, those of the older one, which is the program's.
    let live = "select g.tables from {}generations g join {}pointers p \
                on p.view_name = g.view_name and p.generation = g.generation \
                where p.version = (select min(o.version) from {}pointers o where o.view_name = p.view_name)";
    let mut dump = Dump::new();
    for tables in rows(cell, Part::Views, live).await? {
        for table in tables.split(',') {
            let (name, _) = table.rsplit_once("_v").with_context(|| format!("{table} has no generation"))?;
            dump.insert(name.to_owned(), rows(cell, Part::Views, &format!("select * from {{}}{table}")).await?);
        }
    }
    Ok(dump)
}
