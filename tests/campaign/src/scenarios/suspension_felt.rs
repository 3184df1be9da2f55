//! A suspension on one instance is felt by the tenant's people on all of them: here at once, there within a second.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::FutureExt;
use futures::future::join_all;
use tenure_aggregates::tenant::Stage;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::client::{Client, Manners};
use crate::command::Command;
use crate::history::Kind;
use crate::load::Load;
use crate::people::{Person, Reception};
use crate::scenario::{Run, Scenario, Tally};

/// Suspended on one, refused on all.
pub const SUSPENSION_FELT: Scenario = Scenario {
    name: "suspension-felt",
    about: "suspended on one of three instances, a tenant's people are let in by none of them a second later",
    rounds: |base| base / 2,
    run: |run| torment(run).boxed(),
};

const INSTANCES: usize = 3;
/// What the gate promises for other instances.
const FELT_WITHIN: Duration = Duration::from_secs(1);
/// When a machine is slow, people may be told to come back later; but not for ever.
const TURNED_AWAY_WITHIN: Duration = Duration::from_secs(30);

async fn torment(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let mut tally = Tally::default();
    let mut choices = run.random.child("choices");
    cell.start(INSTANCES).await?;
    let access = cell.access().await?;
    let load = Load::start("b", 4, &access, &run.random, Manners::default())?;
    let mut client = Client::new("a", access, &run.random, Manners { gives_up: 0, ..Manners::default() })?;
    let (id, short_code, _) = client.new_tenant(0).await?;
    let person = Person::new(cell.token("prime-admin", Some(id)).await?, Duration::from_secs(10))?;
    let mut longest = Duration::ZERO;
    for _ in 0..run.rounds {
        for instance in 0..INSTANCES {
            let began = Instant::now();
            while person.ask(&cell, instance).await? != Reception::LetIn {
                ensure!(began.elapsed() < TURNED_AWAY_WITHIN, "active, and not let in by instance {instance}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let here = choices.index(INSTANCES);
        let suspend = Command::on_tenant(client.mark(), Kind::Suspend, id, &short_code, Stage::Active, 0);
        client.carry_out(here, &suspend, &short_code).await;
        let suspended = Instant::now();
        if person.ask(&cell, here).await? == Reception::LetIn {
            client.surprise(format!("{}: still let in by the instance that suspended", suspend.mark));
        }
        let others = (0..INSTANCES).filter(|instance| *instance != here);
        for felt in join_all(others.map(|there| until_felt(&cell, &person, there, suspended))).await {
            match felt? {
                Ok(time) => longest = longest.max(time),
                Err(late) => client.surprise(format!("{}: let in {late:?} after the suspension", suspend.mark)),
            }
        }
        let reinstate = Command::on_tenant(client.mark(), Kind::Reinstate, id, &short_code, Stage::Suspended, 0);
        client.carry_out(choices.index(INSTANCES), &reinstate, &short_code).await;
    }
    tally.remarks.push(format!("felt on the other instances after {} ms at most", longest.as_millis()));
    let mut history = load.stop().await?;
    history.absorb(client.into_history());
    run.conclude(cell, &history, tally).await
}

/// Asks until somebody is turned away, and answers when. Only a question that was asked more than a second after the
/// suspension and answered with a welcome breaks the rule, however slow the machine is: that time is the error.
async fn until_felt(
    cell: &Cell,
    person: &Person,
    instance: usize,
    suspended: Instant,
) -> anyhow::Result<Result<Duration, Duration>> {
    loop {
        let asked = suspended.elapsed();
        match person.ask(cell, instance).await? {
            Reception::TurnedAway => return Ok(Ok(asked)),
            Reception::LetIn if asked > FELT_WITHIN => return Ok(Err(asked)),
            Reception::LetIn | Reception::NotNow => {}
        }
        ensure!(asked < TURNED_AWAY_WITHIN, "suspended, and not turned away by instance {instance}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
