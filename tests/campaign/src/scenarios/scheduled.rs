//! What is due is done once, however many instances see that it is due, and also when one of them is killed over it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use futures::FutureExt;
use tenure_aggregates::tenant::Stage;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::client::{Client, Manners};
use crate::command::Command;
use crate::history::Kind;
use crate::scenario::{Run, Scenario, Tally};
use crate::tables::{Part, rows};

/// Deletions and monthly usage.
pub const SCHEDULED_ONCE: Scenario = Scenario {
    name: "scheduled-once",
    about: "months pass for three instances at once: each tenant's month is billed once, each deletion happens once",
    rounds: |base| base / 20,
    run: |run| torment(run).boxed(),
};

const INSTANCES: usize = 3;
const TENANTS: usize = 24;
/// Every fourth tenant is deprovisioned in the beginning, and due for deletion 31 days later.
const DEPROVISIONED: usize = 4;
const DONE_WITHIN: Duration = Duration::from_mins(2);

async fn torment(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let mut tally = Tally::default();
    let mut faults = run.random.child("faults");
    cell.start(INSTANCES).await?;
    let manners = Manners { gives_up: 0, ..Manners::default() };
    let mut client = Client::new("a", cell.access().await?, &run.random, manners)?;
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    let began = Utc::now();
    for number in 0..TENANTS {
        let (id, short_code, _) = client.new_tenant(number % INSTANCES).await?;
        if number % DEPROVISIONED == 0 {
            let command = Command::on_tenant(client.mark(), Kind::Deprovision, id, &short_code, Stage::Active, 0);
            client.carry_out(0, &command, &short_code).await;
            gone.push(id.to_string());
        } else {
            kept.push(id.to_string());
        }
    }
    for month in 1..=run.rounds {
        for instance in &mut cell.instances {
            instance.stop().await?;
        }
        let days = 31 * i64::from(month) + 2;
        cell.set("TENURE_CLOCK_OFFSET", &format!("{days}d"));
        for instance in &mut cell.instances {
            instance.launch()?;
        }
        // One dies over its work, at another moment each time.
        tokio::time::sleep(faults.between(200, 2_500)).await;
        let victim = faults.index(INSTANCES);
        tally.kills += u32::from(cell.instances[victim].kill9()?);
        for instance in &mut cell.instances {
            instance.ready().await?;
        }
        let months = months_between(began, Utc::now() + TimeDelta::days(days));
        until_done(&cell, &kept, &gone, months).await?;
    }
    // The log is checked below: a month or a deletion that stands in a stream twice can't be folded.
    run.conclude(cell, &client.into_history(), tally).await
}

/// Whole months that are over by then, counted from the one that `began` lies in.
fn months_between(began: DateTime<Utc>, now: DateTime<Utc>) -> usize {
    let months = |time: DateTime<Utc>| time.year() * 12 + i32::try_from(time.month0()).unwrap_or_default();
    usize::try_from(months(now) - months(began)).unwrap_or_default()
}

async fn until_done(cell: &Cell, kept: &[String], gone: &[String], months: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let billed = count(cell, "tenant.usage.monthly").await?;
        let deleted = count(cell, "tenant.deleted").await?;
        if let Some(id) = kept.iter().find(|id| billed.get(*id).is_some_and(|count| *count > months)) {
            anyhow::bail!("tenant {id} was billed {:?} of {months} months", billed.get(id));
        }
        ensure!(kept.iter().all(|id| !deleted.contains_key(id)), "a tenant was deleted that nobody deprovisioned");
        let done =
            kept.iter().all(|id| billed.get(id) == Some(&months)) && gone.iter().all(|id| deleted.contains_key(id));
        if done {
            // Whoever comes late finds it done.
            tokio::time::sleep(Duration::from_secs(3)).await;
            let again = count(cell, "tenant.usage.monthly").await?;
            ensure!(kept.iter().all(|id| again.get(id) == Some(&months)), "a month was billed twice");
            return Ok(());
        }
        ensure!(began.elapsed() < DONE_WITHIN, "after minutes not all of {months} months are billed: {billed:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How many events of this type each stream has.
async fn count(cell: &Cell, event: &str) -> anyhow::Result<BTreeMap<String, usize>> {
    let sql =
        format!("select aggregate_id, count(*) from {{}}events where event_type = '{event}' group by aggregate_id");
    let counted = rows(cell, Part::Log, &sql).await?;
    let parse = |row: &String| -> anyhow::Result<(String, usize)> {
        let (id, count) = row.split_once('|').context("a row of two cells")?;
        Ok((id.to_owned(), count.parse()?))
    };
    counted.iter().map(parse).collect()
}
