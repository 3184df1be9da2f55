//! A small crash campaign: a few rounds of each kind of fault. `make campaign` does hundreds.
//!
//! The choices come from a fixed seed; what a fault meets is up to the machine all the same.

use std::path::Path;

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
async fn two_releases_side_by_side() {
    held("rolling-upgrade", 1).await;
}
