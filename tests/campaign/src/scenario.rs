//! What all scenarios share: their list, what they are given and what they report.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use futures::future::BoxFuture;

use crate::cell::Cell;
use crate::check;
use crate::history::History;
use crate::random::Random;
use crate::scenarios;

/// A way to torment the service.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// As it is named on the command line.
    pub name: &'static str,
    /// What is done and what must hold, in one sentence.
    pub about: &'static str,
    /// How many rounds of its own it does for so many of the campaign's; 100 is a full campaign.
    pub rounds: fn(u32) -> u32,
    /// Does it.
    pub run: fn(Run) -> BoxFuture<'static, anyhow::Result<Tally>>,
}

/// What a scenario is given.
#[derive(Clone, Debug)]
pub struct Run {
    /// The service's program.
    pub program: PathBuf,
    /// The scenario's choices.
    pub random: Random,
    /// How many rounds to do.
    pub rounds: u32,
    /// Longest time that a network or a process stands still, in seconds.
    pub standstill_seconds: u64,
}

/// What a scenario has done.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rounds.
    pub rounds: u32,
    /// Processes of the service and servers killed with -9.
    pub kills: u32,
    /// Connections cut between a statement and its answer.
    pub cuts: u32,
    /// Commands given.
    pub commands: usize,
    /// Of these, told to be done.
    pub acknowledged: usize,
    /// Reads compared with what was written before.
    pub reads: u64,
    /// Events in the log at the end.
    pub events: u64,
    /// What else is worth telling.
    pub remarks: Vec<String>,
    /// Why it was not run, where it can't be.
    pub not_run: Option<String>,
}

impl Tally {
    /// Says loudly that this machine does not allow the scenario.
    #[must_use]
    pub fn not_run(reason: &anyhow::Error) -> Self {
        Self::left_out(format!("NOT RUN: no small disk can be mounted here ({reason:#}); run it as root"))
    }

    /// Says loudly that the scenario is left out.
    #[must_use]
    pub fn left_out(reason: String) -> Self {
        // Not through a macro, whose output a test that passes would keep to itself.
        let _ = writeln!(std::io::stderr(), "\n{reason}\n");
        Self { not_run: Some(reason), ..Self::default() }
    }
}

impl Run {
    /// A run of this scenario as part of a campaign of so many rounds, where 100 is a full one.
    #[must_use]
    pub fn new(program: PathBuf, seed: u64, scenario: &Scenario, rounds: u32) -> Self {
        Self {
            program,
            random: Random::new(seed).child(scenario.name),
            rounds: (scenario.rounds)(rounds).max(1),
            standstill_seconds: (u64::from(rounds) * 60 / 100).clamp(6, 60),
        }
    }

    /// The rounds in up to four parts, each with a letter that names its clients. The log is checked after each.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, u32)> {
        let parts = self.rounds.clamp(1, 4);
        let share = |part| self.rounds * (part + 1) / parts - self.rounds * part / parts;
        ('a'..).zip(0..parts).map(|(letter, part)| (letter.to_string(), share(part))).collect()
    }

    /// Compares everything, ends the cell and completes the tally.
    ///
    /// # Errors
    /// Names what is wrong; the history is then written beside the logs.
    pub async fn conclude(&self, mut cell: Cell, history: &History, mut tally: Tally) -> anyhow::Result<Tally> {
        let checked = check::everything(&mut cell, history).await;
        let facts = match checked {
            Ok(facts) => facts,
            Err(error) => {
                let path = cell.directory().join("history.json");
                std::fs::write(&path, serde_json::to_vec_pretty(&history.records)?)?;
                return Err(error).with_context(|| format!("what the clients know is in {}", path.display()));
            }
        };
        cell.discard()?;
        tally.commands += history.records.len();
        tally.acknowledged += history.acknowledged();
        tally.reads += history.reads;
        tally.events += facts.head;
        tally.rounds += self.rounds;
        Ok(tally)
    }
}

/// Every scenario, in the order of the report.
pub const ALL: &[Scenario] = &[
    scenarios::service_killed::ON_SQLITE,
    scenarios::service_killed::ON_POSTGRES,
    scenarios::database_killed::ALONE,
    scenarios::database_killed::WITH_SERVICE,
    scenarios::network::ANSWERS_CUT,
    scenarios::network::BLACK_HOLE,
    scenarios::instances::SWITCHED,
    scenarios::instances::ALTERNATING,
    scenarios::suspension_felt::SUSPENSION_FELT,
    scenarios::frozen::FROZEN,
    scenarios::scheduled::SCHEDULED_ONCE,
    scenarios::failover::FAILOVER,
    scenarios::disk_full::ON_SQLITE,
    scenarios::disk_full::ON_POSTGRES,
    scenarios::read_only::ON_SQLITE,
    scenarios::read_only::WHILE_RUNNING,
    scenarios::read_only::ON_POSTGRES,
    scenarios::upgrade::ROLLING_UPGRADE,
    scenarios::export::ON_SQLITE,
    scenarios::export::ON_POSTGRES,
];

/// The scenario of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
