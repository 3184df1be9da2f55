//! The views against a rebuild of them: the same rows, and all of the log in them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::Facts;
use crate::cell::Cell;
use crate::tables::{Part, rows};

/// How long views may take to reach the end of a log that nobody writes.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(30);

/// As `tenure projections list` names them.
const VIEWS: [&str; 6] = ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"];

/// Rows of each table of a release's live generations; tables are named without their generation.
pub type Dump = BTreeMap<String, Vec<String>>;

/// Whose views, where two releases share a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The program's.
    Older,
    /// The one with the highest versions; the same where there is only one.
    Newer,
}

impl Release {
    /// The condition that a pointer `p` is this release's.
    fn condition(self) -> String {
        let which = match self {
            Self::Older => "min",
            Self::Newer => "max",
        };
        format!("p.version = (select {which}(o.version) from {{}}pointers o where o.view_name = p.view_name)")
    }
}

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
    let before = dump(cell, Release::Older).await?;
    ensure!(before.len() >= VIEWS.len(), "views are missing: {:?}", before.keys());
    let mut faults = behind(cell, Release::Older, facts.head).await?;
    for view in VIEWS {
        cell.tenure(&["projections", "rebuild", view]).await?;
    }
    faults.extend(differences(&before, &dump(cell, Release::Older).await?));
    Ok(faults)
}

/// What differs between two releases' views on one database, once both have the same position.
///
/// # Errors
/// The views can't be read, or don't reach the log's head.
pub async fn releases_differ(cell: &Cell) -> anyhow::Result<Vec<String>> {
    let head = rows(cell, Part::Log, "select position from {}log_head").await?;
    let head = head.first().context("a log without a head")?.parse()?;
    let began = Instant::now();
    loop {
        let mut faults = behind(cell, Release::Older, head).await?;
        faults.extend(behind(cell, Release::Newer, head).await?);
        if faults.is_empty() || began.elapsed() > CATCH_UP_WITHIN {
            faults.extend(differences(&dump(cell, Release::Older).await?, &dump(cell, Release::Newer).await?));
            return Ok(faults);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The release's views that don't stand at the head.
async fn behind(cell: &Cell, release: Release, head: u64) -> anyhow::Result<Vec<String>> {
    let sql = format!(
        "select c.name, c.position from {{}}checkpoints c join {{}}pointers p \
         on c.name = p.view_name || '_v' || p.generation where {}",
        release.condition()
    );
    let is_behind = |row: &String| row.rsplit_once('|').is_none_or(|(_, position)| position != head.to_string());
    let found = rows(cell, Part::Views, &sql).await?.into_iter().filter(is_behind);
    Ok(found.map(|row| format!("the view {row} does not stand at the head {head}")).collect())
}

/// The live generations' rows.
///
/// # Errors
/// The views can't be read.
pub async fn dump(cell: &Cell, release: Release) -> anyhow::Result<Dump> {
    let live = format!(
        "select g.tables from {{}}generations g join {{}}pointers p \
         on p.view_name = g.view_name and p.generation = g.generation where {}",
        release.condition()
    );
    let mut dump = Dump::new();
    for tables in rows(cell, Part::Views, &live).await? {
        for table in tables.split(',') {
            let (name, _) = table.rsplit_once("_v").with_context(|| format!("{table} has no generation"))?;
            dump.insert(name.to_owned(), rows(cell, Part::Views, &format!("select * from {{}}{table}")).await?);
        }
    }
    Ok(dump)
}

fn differences(one: &Dump, other: &Dump) -> Vec<String> {
    // Rows come sorted.
    let only = |these: &[String], those: &[String]| {
        these.iter().find(|row| those.binary_search(row).is_err()).cloned().unwrap_or_default()
    };
    let mut found = Vec::new();
    for table in one.keys().chain(other.keys().filter(|table| !one.contains_key(*table))) {
        let rows = |dump: &Dump| dump.get(table).cloned().unwrap_or_default();
        let (one, other) = (rows(one), rows(other));
        if one != other {
            let (here, there) = (only(&one, &other), only(&other, &one));
            found.push(format!(
                "{table}: {} and {} rows; {here:?} is only here, {there:?} only there",
                one.len(),
                other.len()
            ));
        }
    }
    found
}
