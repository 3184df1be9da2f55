//! `kill -9` of the service while it exports billing events to Kafka, and of the broker now and then.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::FutureExt;
use serde_json::Value;
use tenure_test_engines::{KafkaBroker, PostgresCluster};

use crate::cell::Cell;
use crate::check;
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::random::Random;
use crate::scenario::{Run, Scenario, Tally};
use crate::tables::{Part, rows};

/// On the embedded engine.
pub const ON_SQLITE: Scenario = Scenario {
    name: "export-sqlite",
    about: "kill -9 of the service, at times of the Kafka broker, under load on SQLite: a read-committed consumer gets \
            exactly the log's billing events, each tenant's in order",
    rounds: |base| base * 5 / 2,
    run: |run| {
        async move {
            if let Some(left_out) = left_out() {
                return Ok(left_out);
            }
            let cell = Cell::sqlite(&run.program)?;
            torment(run, cell).await
        }
        .boxed()
    },
};

/// On `PostgreSQL`.
pub const ON_POSTGRES: Scenario = Scenario {
    name: "export-postgres",
    about: "the same on PostgreSQL; most leases of killed instances are ended at once, since they would take 8 s",
    rounds: |base| base * 5 / 2,
    run: |run| {
        async move {
            if let Some(left_out) = left_out() {
                return Ok(left_out);
            }
            let cluster = tokio::task::block_in_place(PostgresCluster::start);
            let cell = Cell::postgres(&run.program, &cluster.url())?;
            torment(run, cell).await
        }
        .boxed()
    },
};

const CLIENTS: usize = 8;
const TOPIC: &str = "tenure.billing.v1";
/// Every so many rounds the broker is killed instead.
const BROKER_EVERY: u32 = 12;
/// How long the export may take to go on, also where a lease of 8 s runs out or a broker starts on busy cores; and where a
/// broker forgot the end of a transaction, which is waited for for half a minute (ADR 12), after an attempt that met no broker
/// and gave up after as long.
const GOES_ON_WITHIN: Duration = Duration::from_mins(2);

fn left_out() -> Option<Tally> {
    let reason = "NOT RUN: Kafka's programs are not at hand; run it through scripts/with-kafka";
    std::env::var_os("KAFKA_CLASSPATH").is_none().then(|| Tally::left_out(reason.to_owned()))
}

async fn torment(run: Run, mut cell: Cell) -> anyhow::Result<Tally> {
    let mut broker = KafkaBroker::start().await;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.set("TENURE_KAFKA_BROKERS", &broker.bootstrap());
    cell.start(1).await?;
    let access = cell.access().await?;
    let (mut number, mut brokers_killed, mut while_exporting) = (0, 0, 0);
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, Manners::default())?;
        for _ in 0..rounds {
            number += 1;
            // The others meet a producer that is only beginning.
            if faults.chance(70) {
                export_is(&cell, "exporting", |export| export["state"] == "exporting").await?;
                while_exporting += 1;
            }
            tokio::time::sleep(faults.between(0, 700)).await;
            if number % BROKER_EVERY == 2 {
                broker.kill().await;
                (tally.kills, brokers_killed) = (tally.kills + 1, brokers_killed + 1);
                tokio::time::sleep(faults.between(0, 2_000)).await;
                if faults.chance(50) {
                    tally.kills += kill(&mut cell, &mut faults).await?;
                    cell.instances[0].start().await?;
                }
                broker.restart().await;
                continue;
            }
            tally.kills += kill(&mut cell, &mut faults).await?;
            while faults.chance(15) {
                cell.instances[0].launch()?;
                tokio::time::sleep(faults.between(20, 400)).await;
                tally.kills += kill(&mut cell, &mut faults).await?;
            }
            cell.instances[0].start().await?;
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
        export_is(&cell, "done", |export| export["lagEvents"] == 0).await?;
        let events = check::exported(&cell, &broker.bootstrap(), TOPIC).await?;
        tally.remarks = vec![
            format!("{events} billing events are in the topic, each once"),
            format!("{brokers_killed} of the kills were the broker's"),
            format!("{while_exporting} rounds waited until events flowed"),
        ];
    }
    run.conclude(cell, &history, tally).await
}

/// Kills the service, and lets its lease end as if its time were over: nobody holds it any more.
async fn kill(cell: &mut Cell, faults: &mut Random) -> anyhow::Result<u32> {
    let kills = u32::from(cell.instances[0].kill9()?);
    if cell.database().is_some() && !faults.chance(5) {
        rows(cell, Part::Views, "update {}leases set until = clock_timestamp()").await?;
    }
    Ok(kills)
}

/// Waits until the export is as it should be; fails where it stopped for an operator.
async fn export_is(cell: &Cell, what: &str, is: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
    let url = format!("{}/health/ready", cell.instances[0].url);
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let began = Instant::now();
    loop {
        let answer = async { http.get(&url).send().await?.json::<Value>().await };
        let health = answer.await.unwrap_or_default();
        let export = &health["export"];
        if is(export) {
            return Ok(());
        }
        ensure!(export["state"] != "stopped", "the export stopped: {export}");
        ensure!(began.elapsed() < GOES_ON_WITHIN, "the export is not {what}: {health}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
