//! A small crash campaign: a few rounds of each kind of fault. `make campaign` does hundreds.
//!
//! The choices come from a fixed seed; what a fault meets is up to the machine all the same.

use std::path::Path;
use std::time::Duration;

use tenure_campaign::cell::Cell;
use tenure_campaign::check;
use tenure_campaign::client::Manners;
use tenure_campaign::history::{History, Promise};
use tenure_campaign::load::Load;
use tenure_campaign::random::Random;
use tenure_campaign::scenario::{Run, Tally, named};

use crate::service::process::PROGRAM;

/// Seed of the choices, and how much of a scenario: as many rounds as a whole campaign of this size has.
const SEED: u64 = 20_260_407;

async fn held(scenario: &str, rounds: u32) -> Tally {
    let scenario = named(scenario).unwrap();
    let mut run = Run::new(Path::new(PROGRAM).to_owned(), SEED, scenario, 1);
    run.rounds = rounds;
    let result = tokio::spawn((scenario.run)(run)).await.unwrap();
    let tally = result.unwrap_or_else(|error| panic!("{}: {error:#}", scenario.name));
    assert!(tally.not_run.is_some() || tally.acknowledged > 0, "{tally:?}");
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_service_on_sqlite() {
    assert!(held("service-killed-sqlite", 3).await.kills >= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_service_and_postgres_at_once() {
    assert!(held("both-killed", 2).await.kills >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_cut_off() {
    assert_eq!(held("answers-cut", 8).await.cuts, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_is_felt_on_every_instance() {
    held("suspension-felt", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover() {
    assert_eq!(held("failover", 1).await.kills, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite() {
    held("disk-full-sqlite", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_directory_under_sqlite() {
    held("read-only-sqlite", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_can_no_longer_be_written() {
    held("read-only-files", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_releases_side_by_side() {
    held("rolling-upgrade", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_killed_again_and_again() {
    for scenario in ["export-sqlite", "export-postgres"] {
        if tenure_test_engines::shared_kafka().is_some() {
            assert!(held(scenario, 3).await.kills >= 3);
        }
    }
}

/// What the log's file must not say, how to take it back, and words of the fault, of which one has to be found.
const MEDDLING: [(&str, &str, &str); 5] = [
    ("update quotas set max = max + 1", "update quotas set max = max - 1", "limits are"),
    (
        "update claims set owner = owner || 'x'",
        "update claims set owner = substr(owner, 1, length(owner) - 1)",
        "claim",
    ),
    (
        "update events set sequence = sequence + 9 where position = (select max(position) from events)",
        "update events set sequence = sequence - 9 where position = (select max(position) from events)",
        // What is sealed in it no longer opens, or else the gap shows.
        "has sequence|was altered",
    ),
    (
        "update events set position = position + 1 where position = (select max(position) from events)",
        "update events set position = position - 1 where position = (select max(position) from events)",
        "can't be read",
    ),
    (
        "update events set metadata = replace(metadata, 'request_id\":\"a0-', 'request_id\":\"x0-')",
        "update events set metadata = replace(metadata, 'request_id\":\"x0-', 'request_id\":\"a0-')",
        "is lost",
    ),
];

/// A check that finds nothing wrong says something only if it would have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_finds_what_is_wrong() {
    let mut cell = Cell::sqlite(Path::new(PROGRAM)).unwrap();
    cell.start(1).await.unwrap();
    let access = cell.access().await.unwrap();
    let load = Load::start("a", 4, &access, &Random::new(SEED), Manners::default()).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut history = load.stop().await.unwrap();
    check::everything(&mut cell, &history).await.unwrap();

    let meddle = |file: &str, sql: &str| {
        let changed = rusqlite::Connection::open(cell.data().join(file)).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0, "{sql}");
    };
    for (sql, undo, word) in MEDDLING {
        meddle("log.db", sql);
        let found = format!("{:#}", check::log(&cell, &history).await.unwrap_err());
        assert!(word.split('|').any(|word| found.contains(word)), "{sql}: {found}");
        meddle("log.db", undo);
    }
    check::log(&cell, &history).await.unwrap();

    // The other side of the comparison: what the clients say.
    let accused = async |history: &History| format!("{:#}", check::log(&cell, history).await.unwrap_err());
    let done = history.records.iter().position(|record| record.promise == Promise::Done).unwrap();
    history.records[done].promise = Promise::NotDone;
    assert!(accused(&history).await.contains("was refused and is in the log"));
    history.records[done].promise = Promise::Done;
    let forgotten = history.records.remove(done);
    assert!(accused(&history).await.contains("nobody asked for"));
    history.records.push(forgotten);
    history.surprises.push("a false conflict".to_owned());
    assert!(accused(&history).await.contains("a false conflict"));
    history.surprises.clear();

    meddle("views.db", "update tenants_v2 set short_code = short_code || 'x'");
    let found = format!("{:#}", check::everything(&mut cell, &history).await.unwrap_err());
    assert!(found.contains("tenants: "), "{found}");
    cell.discard().unwrap();
}
