//! A rolling upgrade: instances of this release and one whose views are a version ahead, on one database.

use std::time::Duration;

use anyhow::ensure;
use futures::FutureExt;
use tenure_event_log::EventLog;
use tenure_projections::{Views, ViewsConfig};
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check::{self, Release};
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// Two releases side by side.
pub const ROLLING_UPGRADE: Scenario = Scenario {
    name: "rolling-upgrade",
    about: "views of a newer version are built beside those in use while older instances are killed and both go on",
    rounds: |base| base / 10,
    run: |run| torment(run).boxed(),
};

/// The newer release: only its views, which is what it shares with the older one.
struct Newer {
    log: EventLog,
    views: Views,
}

impl Newer {
    async fn start(cell: &Cell) -> anyhow::Result<Self> {
        let log = EventLog::open(cell.log_config()?).await?;
        let config = ViewsConfig { versions_ahead: 1, ..ViewsConfig::new(cell.engine()) };
        let views = Views::open(config, log.clone()).await?;
        views.start();
        Ok(Self { log, views })
    }

    /// Waits until its views show everything.
    async fn catch_up(&self) -> anyhow::Result<()> {
        let head = self.log.head().await?;
        let passed = self.views.wait_for(head, Duration::from_mins(1)).await;
        ensure!(passed, "the newer views don't pass {head}: {:?}", self.views.status());
        Ok(())
    }

    async fn stop(self) {
        self.views.shutdown().await;
        self.log.shutdown().await;
    }
}

async fn torment(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.start(2).await?;
    let access = cell.access().await?;
    for (name, rounds) in run.parts() {
        let manners = Manners { reads: 50, ..Manners::default() };
        let load = Load::start(&name, 8, &access, &run.random, manners)?;
        let mut newer = Newer::start(&cell).await?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(400, 1_000)).await;
            newer.catch_up().await?;
            // One of the older ones goes while the newer one is taken back and comes again.
            let victim = faults.index(2);
            tally.kills += u32::from(cell.instances[victim].kill9()?);
            newer.stop().await;
            tokio::time::sleep(faults.between(0, 400)).await;
            newer = Newer::start(&cell).await?;
            cell.instances[victim].ready().await?;
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
        newer.catch_up().await?;
        newer.stop().await;
        // With nobody at work both releases say the same.
        let difference = check::releases_differ(&cell).await?;
        ensure!(difference.is_empty(), "the releases' views differ: {}", difference.join("; "));
    }
    ensure!(check::dump(&cell, Release::Newer).await? != check::Dump::new(), "the newer views hold nothing");
    run.conclude(cell, &history, tally).await
}
