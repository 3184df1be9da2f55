//! An instance that stands still with whatever locks it holds, as a stopped virtual machine does, and then goes on.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::FutureExt;
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::Value;
use tenure_aggregates::TenantId;
use tenure_aggregates::tenant::Stage;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check;
use crate::client::{Client, Manners};
use crate::command::Command;
use crate::history::{History, Kind};
use crate::load::Load;
use crate::people::{Person, Reception};
use crate::scenario::{Run, Scenario, Tally};

/// SIGSTOP, and SIGCONT a minute later.
pub const FROZEN: Scenario = Scenario {
    name: "instance-frozen",
    about: "one of three instances is frozen (SIGSTOP), once for a minute: the others' views go on, and thawed it answers nothing stale",
    rounds: |base| base / 10,
    run: |run| torment(run).boxed(),
};

const INSTANCES: usize = 3;
/// The server ends a frozen instance's transaction after 10 s; until then it may hold the views' checkpoints.
const VIEWS_GO_ON_WITHIN: Duration = Duration::from_secs(30);

async fn torment(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut choices = run.random.child("choices");
    cell.start(INSTANCES).await?;
    let access = cell.access().await?;
    // Who waits for a frozen instance turns to another one soon.
    let manners = Manners { patience: Duration::from_secs(3), ..Manners::default() };
    for (name, rounds) in run.parts() {
        let patient = Manners { gives_up: 0, ..manners };
        let mut client = Client::new(&format!("z{name}"), access.clone(), &run.random, patient)?;
        let load = Load::start(&name, 6, &access, &run.random, manners)?;
        for round in 0..rounds {
            tokio::time::sleep(choices.between(200, 1_200)).await;
            let is_first = name == "a" && round == 0;
            let standstill =
                if is_first { Duration::from_secs(run.standstill_seconds) } else { Duration::from_secs(2) };
            let frozen = choices.index(INSTANCES);
            freeze(&cell, &mut client, &access.msp, frozen, standstill).await?;
            cell.instances[frozen].ready().await?;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        history.absorb(load.stop().await?);
        history.absorb(client.into_history());
        check::log(&cell, &history).await?;
    }
    tally.remarks.push(format!("the first time for {} s", run.standstill_seconds));
    run.conclude(cell, &history, tally).await
}

async fn freeze(
    cell: &Cell,
    client: &mut Client,
    token: &str,
    frozen: usize,
    standstill: Duration,
) -> anyhow::Result<()> {
    let (here, there) = ((frozen + 1) % INSTANCES, (frozen + 2) % INSTANCES);
    // The frozen instance has this tenant in its memory, as active.
    let (id, short_code, _) = client.new_tenant(frozen).await?;
    let person = Person::new(cell.token("prime-admin", Some(id)).await?, Duration::from_mins(3))?;
    cell.instances[frozen].freeze()?;
    let began = Instant::now();

    let suspend = Command::on_tenant(client.mark(), Kind::Suspend, id, &short_code, Stage::Active, 0);
    let position = client.carry_out(here, &suspend, &short_code).await.and_then(|done| done.position);
    let position = position.context("a suspension has no position")?;
    views_go_on(&cell.instances[there].url, token, id, position).await?;

    // These stand before the frozen instance's door until it goes on.
    let url = &cell.instances[frozen].url;
    let early = async { join_all((0..4).map(|_| person.ask_at(url))).await };
    let thaw = async {
        while began.elapsed() < standstill {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let (_, _, position) = client.new_tenant(there).await?;
            ensure!(position > 0, "a new tenant has no position");
        }
        cell.instances[frozen].thaw()
    };
    let (early, thawed) = tokio::join!(early, thaw);
    thawed?;
    let mut receptions = early;
    for _ in 0..20 {
        receptions.push(person.ask_at(url).await);
        let (status, stage) = stage_at(url, token, id, None).await?;
        ensure!(
            status == StatusCode::SERVICE_UNAVAILABLE || stage == "suspended",
            "thawed, it says {status} {stage} of a suspended tenant"
        );
        let (status, last) = stage_at(url, token, id, Some(position)).await?;
        ensure!(
            status == StatusCode::SERVICE_UNAVAILABLE || last == "tenant.suspended",
            "thawed, its views say {status} {last} past the suspension's position"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let let_in = receptions.iter().filter(|reception| **reception == Reception::LetIn).count();
    ensure!(let_in == 0, "thawed, it let a suspended tenant's people in {let_in} times");
    Ok(())
}

/// What another instance did is seen here, as the views go on without the frozen one.
async fn views_go_on(url: &str, token: &str, id: TenantId, position: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let (status, last) = stage_at(url, token, id, Some(position)).await?;
        if status == StatusCode::OK {
            ensure!(last == "tenant.suspended", "past position {position} the last event is {last}");
            return Ok(());
        }
        ensure!(began.elapsed() < VIEWS_GO_ON_WITHIN, "a frozen instance stops the others' views: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The stage in a tenant's detail; past a position, its last billing event instead, which comes from the views.
async fn stage_at(url: &str, token: &str, id: TenantId, past: Option<u64>) -> anyhow::Result<(StatusCode, String)> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let path = if past.is_some() { "/billing-events" } else { "" };
    let mut request = http.get(format!("{url}/api/v1/msp/tenants/{id}{path}")).bearer_auth(token);
    if let Some(position) = past {
        request = request.header("tenure-min-position", position);
    }
    let answer = request.send().await?;
    let status = answer.status();
    let body: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
    let word = match body.as_array() {
        Some(events) => events.last().map(|event| event["type"].clone()).unwrap_or_default(),
        None => body["status"].clone(),
    };
    Ok((status, word.as_str().unwrap_or_default().to_owned()))
}
