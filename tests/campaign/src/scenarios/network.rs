//! A bad network between the service and `PostgreSQL`: answers that are lost, packets that are late, silence.

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::FutureExt;
use tenure_test_engines::{Fault, PostgresCluster, Proxy};

use crate::cell::Cell;
use crate::check;
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// Cut connections.
pub const ANSWERS_CUT: Scenario = Scenario {
    name: "answers-cut",
    about: "the connection to PostgreSQL is cut after an append was sent and before its answer, also while packets are late",
    rounds: |base| 2 * base,
    run: |run| answers_cut(run).boxed(),
};

/// Silence.
pub const BLACK_HOLE: Scenario = Scenario {
    name: "black-hole",
    about: "the network to PostgreSQL swallows everything for 30 s and then delivers it late",
    rounds: |base| base / 50,
    run: |run| black_hole(run).boxed(),
};

const CLIENTS: usize = 8;
/// How long it may take until a fault has met a statement.
const MET_WITHIN: Duration = Duration::from_mins(1);

async fn answers_cut(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let proxy = Proxy::to(&cluster.url()).await;
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.add(Some(proxy.url())).ready().await?;
    let access = cell.access().await?;
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, Manners::default())?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(10, 200)).await;
            let delay = if faults.chance(10) { faults.between(5, 60) } else { Duration::ZERO };
            proxy.delay(delay);
            let fault = match faults.below(10) {
                0..=5 => Fault::LoseAnswer,
                6..=7 => Fault::LoseAnswerAtOnce,
                8 => Fault::LoseAnswerAndGoDown,
                _ => Fault::LoseStatement,
            };
            let before = proxy.faults();
            proxy.next(fault);
            let began = Instant::now();
            while proxy.faults() == before {
                ensure!(began.elapsed() < MET_WITHIN, "no append came by for a minute");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            if fault == Fault::LoseAnswerAndGoDown {
                tokio::time::sleep(faults.between(10, 400)).await;
                proxy.come_back();
            }
            tally.cuts += 1;
        }
        proxy.delay(Duration::ZERO);
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
    }
    run.conclude(cell, &history, tally).await
}

async fn black_hole(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let proxy = Proxy::to(&cluster.url()).await;
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    cell.add(Some(proxy.url())).ready().await?;
    let access = cell.access().await?;
    let silence = Duration::from_secs(run.standstill_seconds.min(30));
    for (name, rounds) in run.parts() {
        let load = Load::start(&name, CLIENTS, &access, &run.random, Manners::default())?;
        for _ in 0..rounds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            proxy.fall_silent();
            tokio::time::sleep(silence).await;
            proxy.speak_again();
            cell.instances[0].ready().await?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
    }
    tally.remarks.push(format!("{} s of silence each time", silence.as_secs()));
    run.conclude(cell, &history, tally).await
}
