//! `kill -9` of the whole database server under load, alone and together with the service.

use futures::FutureExt;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// The server alone: the service outlives it.
pub const ALONE: Scenario = Scenario {
    name: "postgres-killed",
    about: "kill -9 of every process of PostgreSQL under load; the service goes on by itself",
    rounds: |base| base,
    run: |run| torment(run, false).boxed(),
};

/// Both at the same moment, and restarted together.
pub const WITH_SERVICE: Scenario = Scenario {
    name: "both-killed",
    about: "kill -9 of PostgreSQL and the service at the same moment; both are started again at once",
    rounds: |base| base / 2,
    run: |run| torment(run, true).boxed(),
};

const CLIENTS: usize = 8;

async fn torment(run: Run, service_too: bool) -> anyhow::Result<Tally> {
    let mut cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.start(1).await?;
    let access = cell.access().await?;
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, Manners::default())?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(300, 1_000)).await;
            tokio::task::block_in_place(|| cluster.kill9());
            tally.kills += 1;
            if service_too {
                tally.kills += u32::from(cell.instances[0].kill9()?);
                cell.instances[0].launch()?;
            } else {
                tokio::time::sleep(faults.between(0, 500)).await;
            }
            tokio::task::block_in_place(|| cluster.restart());
            // Ready is more than listening: log, gate and views are there again.
            cell.instances[0].ready().await?;
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
    }
    let tally = run.conclude(cell, &history, tally).await?;
    cluster.stop();
    Ok(tally)
}
