//! The disk is full: clear errors, a reason for operators, nothing lost, and when there is room again the service goes on
//! by itself.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::FutureExt;
use reqwest::StatusCode;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::{Client, Manners};
use crate::disk::SmallDisk;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// The data directory's disk.
pub const ON_SQLITE: Scenario = Scenario {
    name: "disk-full-sqlite",
    about: "the disk of the data directory is full while commands are given, and free again later",
    rounds: |base| base / 20,
    run: |run| {
        async move {
            let disk = match SmallDisk::mount(64) {
                Ok(disk) => disk,
                Err(error) => return Ok(Tally::not_run(&error)),
            };
            let mut cell = Cell::sqlite(&run.program)?;
            cell.keep_data_in(&disk.path().join("data"));
            torment(run, cell, &disk, None).await
        }
        .boxed()
    },
};

/// The server's disk.
pub const ON_POSTGRES: Scenario = Scenario {
    name: "disk-full-postgres",
    about: "the disk of PostgreSQL is full while commands are given (a server that ends is started again), and free later",
    rounds: |base| base / 20,
    run: |run| {
        async move {
            let disk = match SmallDisk::mount(256) {
                Ok(disk) => disk,
                Err(error) => return Ok(Tally::not_run(&error)),
            };
            let mut cluster = tokio::task::block_in_place(|| PostgresCluster::start_in(disk.path()));
            let cell = Cell::postgres(&run.program, &cluster.url())?;
            torment(run, cell, &disk, Some(&mut cluster)).await
        }
        .boxed()
    },
};

/// How long it may take until a full disk is noticed: files that were longer once take a while to fill up.
const NOTICED_WITHIN: Duration = Duration::from_mins(2);

async fn torment(
    run: Run,
    mut cell: Cell,
    disk: &SmallDisk,
    mut cluster: Option<&mut PostgresCluster>,
) -> anyhow::Result<Tally> {
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.start(1).await?;
    let access = cell.access().await?;
    let mut ended = 0;
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, 8, &access, &run.random, Manners { pause_ms: 0, ..Manners::default() })?;
        // One attempt for each command, so that a refusal is seen as such.
        let probing = Manners { gives_up: 100, ..Manners::default() };
        let mut probe = Client::new(&format!("z{name}"), access.clone(), &run.random, probing)?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(300, 900)).await;
            let began = Instant::now();
            disk.fill()?;
            while probe.new_tenant(0).await.is_ok() {
                ensure!(began.elapsed() < NOTICED_WITHIN, "the disk is full, and commands are still done");
                disk.fill()?;
            }
            tokio::time::sleep(faults.between(100, 1_500)).await;
            // A server that ends for lack of room is no longer there to say what is wrong.
            cell.instances[0].says_why(&["Commands can't be written", "The log can't be read"]).await?;
            let live = reqwest::get(format!("{}/health/live", access.urls[0])).await?.status();
            ensure!(live == StatusCode::OK, "with a full disk the service says {live}");
            ensure!(cell.instances[0].exited()?.is_none(), "the service ended for lack of room");
            disk.free()?;
            if let Some(cluster) = &mut cluster
                && !cluster.is_running()
            {
                // It can't write its own log any more and gives up; its supervisor starts it again.
                ended += 1;
                tokio::task::block_in_place(|| cluster.restart());
            }
            cell.instances[0].ready().await?;
        }
        history.absorb(load.stop().await?);
        history.absorb(probe.into_history());
        check::log(&cell, &history).await?;
    }
    let said = cell.instances[0].errors();
    ensure!(
        ["full", "No space left", "in recovery mode", "refused"].iter().any(|word| said.contains(word)),
        "the service's log does not say what was wrong"
    );
    if cluster.is_some() {
        tally.remarks.push(format!("the server ended {ended} times"));
    }
    run.conclude(cell, &history, tally).await
}
