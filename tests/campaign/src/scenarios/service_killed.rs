//! `kill -9` of the service under load, now and then once more while it starts again.

use futures::FutureExt;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// On the embedded engine.
pub const ON_SQLITE: Scenario = Scenario {
    name: "service-killed-sqlite",
    about: "kill -9 of the service under load, on SQLite",
    rounds: |base| 2 * base,
    run: |run| {
        async move {
            let cell = Cell::sqlite(&run.program)?;
            torment(run, cell).await
        }
        .boxed()
    },
};

/// On `PostgreSQL`.
pub const ON_POSTGRES: Scenario = Scenario {
    name: "service-killed-postgres",
    about: "kill -9 of the service under load, on PostgreSQL",
    rounds: |base| 2 * base,
    run: |run| {
        async move {
            let cluster = tokio::task::block_in_place(PostgresCluster::start);
            let cell = Cell::postgres(&run.program, &cluster.url())?;
            torment(run, cell).await
        }
        .boxed()
    },
};

const CLIENTS: usize = 8;

async fn torment(run: Run, mut cell: Cell) -> anyhow::Result<Tally> {
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.start(1).await?;
    let access = cell.access().await?;
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, Manners::default())?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(200, 900)).await;
            tally.kills += u32::from(cell.instances[0].kill9()?);
            while faults.chance(15) {
                cell.instances[0].launch()?;
                tokio::time::sleep(faults.between(20, 400)).await;
                tally.kills += u32::from(cell.instances[0].kill9()?);
            }
            cell.instances[0].start().await?;
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
    }
    run.conclude(cell, &history, tally).await
}
