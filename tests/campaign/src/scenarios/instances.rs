//! Several instances on one database: clients that switch between them, and steps that alternate.

use futures::FutureExt;
use tenure_aggregates::tenant::Stage;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::{Client, Manners};
use crate::command::Command;
use crate::history::{History, Kind};
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// Clients that switch.
pub const SWITCHED: Scenario = Scenario {
    name: "instances-switched",
    about: "clients switch between three instances and read on any what they wrote; one after the other is killed",
    rounds: |base| base / 4,
    run: |run| switched(run).boxed(),
};

/// Steps that alternate.
pub const ALTERNATING: Scenario = Scenario {
    name: "instances-alternating",
    about: "one tenant is suspended and reinstated on changing ones of two instances: no false 409",
    rounds: |base| 10 * base,
    run: |run| alternating(run).boxed(),
};

const CLIENTS: usize = 8;

async fn switched(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.start(3).await?;
    let access = cell.access().await?;
    let manners = Manners { reads: 70, ..Manners::default() };
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, manners)?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(500, 1_500)).await;
            let victim = faults.index(cell.instances.len());
            tally.kills += u32::from(cell.instances[victim].kill9()?);
            tokio::time::sleep(faults.between(0, 500)).await;
            cell.instances[victim].ready().await?;
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
    }
    run.conclude(cell, &history, tally).await
}

async fn alternating(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let mut choices = run.random.child("choices");
    cell.start(2).await?;
    let access = cell.access().await?;
    let load = Load::start("b", 2, &access, &run.random, Manners::default())?;
    let manners = Manners { gives_up: 0, ..Manners::default() };
    let mut client = Client::new("a", access, &run.random, manners)?;
    let (id, short_code, _) = client.new_tenant(0).await?;
    let mut stage = Stage::Active;
    for _ in 0..2 * run.rounds {
        let kind = if stage == Stage::Active { Kind::Suspend } else { Kind::Reinstate };
        let command = Command::on_tenant(client.mark(), kind, id, &short_code, stage, 0);
        // Whatever the answer, the next step follows from what is asked for: a refusal is reported all the same.
        client.carry_out(choices.index(2), &command, &short_code).await;
        stage = command.stage_after(stage);
    }
    let mut history = load.stop().await?;
    history.absorb(client.into_history());
    run.conclude(cell, &history, Tally::default()).await
}
