//! The data directory can't be written: on the embedded engine the service says so and does not start, or, where it runs
//! already, refuses commands until it can; on `PostgreSQL`, where the directory holds nothing but keys, it does its work.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::FutureExt;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::{Client, Manners};
use crate::disk::{SmallDisk, Unwritable};
use crate::history::History;
use crate::load::Load;
use crate::random::Random;
use crate::scenario::{Run, Scenario, Tally};

/// The directory of log and views.
pub const ON_SQLITE: Scenario = Scenario {
    name: "read-only-sqlite",
    about: "the data directory is read-only at a start: a clear error, and the next start finds everything",
    rounds: |base| base / 20,
    run: |run| {
        async move {
            let disk = match SmallDisk::mount(64) {
                Ok(disk) => disk,
                Err(error) => return Ok(Tally::not_run(&error)),
            };
            let mut cell = Cell::sqlite(&run.program)?;
            cell.keep_data_in(&disk.path().join("data"));
            refused(run, cell, &disk).await
        }
        .boxed()
    },
};

/// The files of log and views.
pub const WHILE_RUNNING: Scenario = Scenario {
    name: "read-only-files",
    about: "log and views can't be written any more while commands are given, and later can: the service goes on by itself",
    rounds: |base| base / 20,
    run: |run| bereft(run).boxed(),
};

/// The directory of the keys.
pub const ON_POSTGRES: Scenario = Scenario {
    name: "read-only-postgres",
    about: "the data directory, which holds the keys, is read-only: the service on PostgreSQL does its work",
    rounds: |base| base / 20,
    run: |run| {
        async move {
            let disk = match SmallDisk::mount(4) {
                Ok(disk) => disk,
                Err(error) => return Ok(Tally::not_run(&error)),
            };
            let cluster = tokio::task::block_in_place(PostgresCluster::start);
            let mut cell = Cell::postgres(&run.program, &cluster.url())?;
            cell.keep_data_in(&disk.path().join("data"));
            served(run, cell, &disk).await
        }
        .boxed()
    },
};

/// How long the service may take to give up.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

async fn refused(run: Run, mut cell: Cell, disk: &SmallDisk) -> anyhow::Result<Tally> {
    let mut history = History::default();
    let mut pauses = run.random.child("pauses");
    cell.start(1).await?;
    let access = cell.access().await?;
    for round in 0..run.rounds {
        let load = Load::start(&name(round), 4, &access, &run.random, Manners::default())?;
        tokio::time::sleep(pauses.between(300, 800)).await;
        history.absorb(load.stop().await?);
        cell.instances[0].stop().await?;
        disk.set_read_only(true)?;
        let before = cell.instances[0].errors().len();
        cell.instances[0].launch()?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = cell.instances[0].exited()? {
                break status;
            }
            ensure!(began.elapsed() < ENDS_WITHIN, "it neither starts nor ends on a read-only directory");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let said = cell.instances[0].errors();
        let last = said.get(before..).unwrap_or_default().lines().last().context("it ended without a word")?;
        ensure!(status.code() == Some(1), "it ended with {status}: {last}");
        ensure!(last.contains("Read-only file system") || last.contains("readonly"), "not clear: {last}");
        disk.set_read_only(false)?;
        cell.instances[0].start().await?;
        check::log(&cell, &history).await?;
    }
    run.conclude(cell, &history, Tally::default()).await
}

async fn bereft(run: Run) -> anyhow::Result<Tally> {
    let mut cell = Cell::sqlite(&run.program)?;
    let mut history = History::default();
    let mut faults = run.random.child("faults");
    cell.start(1).await?;
    let access = cell.access().await?;
    // Not the `-shm` files: they are mapped into memory, and who writes to a mapping of such a file is ended by the system.
    let written = ["log.db", "log.db-wal", "views.db", "views.db-wal"].map(|name| cell.data().join(name));
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, 4, &access, &run.random, Manners::default())?;
        // One attempt for each command, so that a refusal is seen as such.
        let mut probe = Client::new(
            &format!("z{name}"),
            access.clone(),
            &run.random,
            Manners { gives_up: 100, ..Manners::default() },
        )?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(300, 800)).await;
            let unwritable = match Unwritable::new(written.clone()) {
                Ok(unwritable) => unwritable,
                Err(error) => {
                    cell.discard()?;
                    return Ok(Tally::not_run(&error));
                }
            };
            cell.instances[0].says_why(&["Commands can't be written"]).await?;
            ensure!(probe.new_tenant(0).await.is_err(), "a command was done on files that can't be written");
            tokio::time::sleep(faults.between(100, 1_500)).await;
            ensure!(cell.instances[0].exited()?.is_none(), "the service ended");
            drop(unwritable);
            cell.instances[0].ready().await?;
            probe.new_tenant(0).await?;
        }
        history.absorb(load.stop().await?);
        history.absorb(probe.into_history());
        check::log(&cell, &history).await?;
    }
    run.conclude(cell, &history, Tally::default()).await
}

async fn served(run: Run, mut cell: Cell, disk: &SmallDisk) -> anyhow::Result<Tally> {
    let mut history = History::default();
    let mut pauses: Random = run.random.child("pauses");
    // The first start makes the keys.
    cell.start(1).await?;
    let access = cell.access().await?;
    for round in 0..run.rounds {
        cell.instances[0].stop().await?;
        disk.set_read_only(true)?;
        cell.instances[0].ready().await?;
        let load = Load::start(&name(round), 4, &access, &run.random, Manners::default())?;
        tokio::time::sleep(pauses.between(300, 800)).await;
        history.absorb(load.stop().await?);
        disk.set_read_only(false)?;
    }
    ensure!(history.acknowledged() > 0, "nothing was done on a read-only directory");
    run.conclude(cell, &history, Tally::default()).await
}

fn name(round: u32) -> String {
    format!("r{round}-")
}
