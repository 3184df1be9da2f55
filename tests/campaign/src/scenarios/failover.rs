//! A primary that dies and a standby that takes its place; the service's address names both.

use futures::FutureExt;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// Failover with a synchronous standby.
pub const FAILOVER: Scenario = Scenario {
    name: "failover",
    about: "kill -9 of the primary, its synchronous standby is promoted, two instances that know both servers go on",
    rounds: |base| base / 10,
    run: |run| torment(run).boxed(),
};

const CLIENTS: usize = 8;

async fn torment(run: Run) -> anyhow::Result<Tally> {
    let mut primary = tokio::task::block_in_place(PostgresCluster::start);
    let mut standby = tokio::task::block_in_place(|| primary.standby());
    primary.wait_for_standbys();
    let both = format!("{}:{},127.0.0.1:{}", "127.0.0.1", primary.port(), standby.port());
    let both = format!("postgres://tenure@{both}/postgres?target_session_attrs=read-write");

    let mut cell = Cell::postgres(&run.program, &primary.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    for _ in 0..2 {
        cell.add(Some(&both)).ready().await?;
    }
    let access = cell.access().await?;
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, Manners::default())?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(800, 2_000)).await;
            tokio::task::block_in_place(|| primary.kill9());
            tally.kills += 1;
            tokio::time::sleep(faults.between(0, 700)).await;
            let port = primary.port();
            tokio::task::block_in_place(|| standby.promote());
            primary = standby;
            cell.database_is_now(&primary.url());
            for instance in &mut cell.instances {
                instance.ready().await?;
            }
            tokio::time::sleep(faults.between(200, 800)).await;
            // Where the old primary was, the new one gets a standby: the address stays true.
            standby = tokio::task::block_in_place(|| primary.standby_at(port));
            primary.wait_for_standbys();
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
    }
    let tally = run.conclude(cell, &history, tally).await?;
    standby.stop();
    Ok(tally)
}
