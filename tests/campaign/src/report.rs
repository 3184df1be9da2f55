//! `docs/CAMPAIGN.md`, as the campaign itself writes it.

use std::fmt::Write;
use std::process::Command;

use chrono::{DateTime, Utc};

use crate::scenario::{Scenario, Tally};

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// What all choices come from.
    pub seed: u64,
    /// How much of everything: 100 is a full campaign.
    pub rounds: u32,
    /// The commit that the programs were built from: of the moment when it began.
    pub commit: String,
    /// When it began.
    pub began: DateTime<Utc>,
    /// What each scenario came to.
    pub chapters: Vec<Chapter>,
}

/// What one scenario came to.
#[derive(Debug)]
pub struct Chapter {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Its tally, or what was wrong.
    pub result: Result<Tally, String>,
}

impl Chapter {
    /// The chapter of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario, seconds: f64, result: Result<Tally, String>) -> Self {
        Self { name: scenario.name, about: scenario.about, seconds, result }
    }

    fn verdict(&self) -> &'static str {
        match &self.result {
            Ok(Tally { not_run: Some(_), .. }) => "NOT RUN",
            Ok(Tally { not_run: None, .. }) => "held",
            Err(_) => "FAILED",
        }
    }
}

impl Report {
    /// Whether everything held. What was not run is not counted against it, and named all the same.
    #[must_use]
    pub fn all_well(&self) -> bool {
        self.chapters.iter().all(|chapter| chapter.result.is_ok())
    }

    /// The page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let tallies: Vec<&Tally> = self.chapters.iter().filter_map(|chapter| chapter.result.as_ref().ok()).collect();
        let kills: u32 = tallies.iter().map(|tally| tally.kills).sum();
        let cuts: u32 = tallies.iter().map(|tally| tally.cuts).sum();
        let commands: usize = tallies.iter().map(|tally| tally.commands).sum();
        let acknowledged: usize = tallies.iter().map(|tally| tally.acknowledged).sum();
        let seconds: f64 = self.chapters.iter().map(|chapter| chapter.seconds).sum();
        let verdict = if self.all_well() { "everything held" } else { "SOMETHING FAILED" };
        let mut page = format!(
            "# The crash campaign\n\n\
             Written by `make campaign`. Real processes of the service under load are killed, cut off, frozen and starved.\n\
             Afterwards what the log holds is compared with what the clients were told: every acknowledged command is there\n\
             once, no other one twice, none that was refused; positions have no gap; each stream can be folded; claims and\n\
             limits are what the events say; each view equals a rebuild of it.\n\n\
             | | |\n|---|---|\n\
             | result | {verdict} |\n\
             | commit | {} |\n\
             | began | {} |\n\
             | seed, rounds | {}, {} |\n\
             | machine | {} |\n\
             | took | {seconds:.0} s |\n\
             | processes killed | {kills} |\n\
             | answers cut off | {cuts} |\n\
             | commands given, of these acknowledged | {commands}, {acknowledged} |\n\n\
             | scenario | result | rounds | kills | cuts | commands | acknowledged | reads compared | events | seconds |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
            self.commit,
            self.began.format("%Y-%m-%d %H:%M UTC"),
            self.seed,
            self.rounds,
            machine(),
        );
        for chapter in &self.chapters {
            let Tally { rounds, kills, cuts, commands, acknowledged, reads, events, .. } =
                chapter.result.clone().unwrap_or_default();
            // Writing to a String can't fail.
            let _ = writeln!(
                page,
                "| {} | {} | {rounds} | {kills} | {cuts} | {commands} | {acknowledged} | {reads} | {events} | {:.1} |",
                chapter.name,
                chapter.verdict(),
                chapter.seconds,
            );
        }
        page.push_str("\nWhat was done:\n\n");
        for chapter in &self.chapters {
            let _ = write!(page, "- **{}**: {}", chapter.name, chapter.about);
            match &chapter.result {
                Ok(tally) => {
                    for remark in tally.remarks.iter().chain(&tally.not_run) {
                        let _ = write!(page, "; {remark}");
                    }
                    page.push_str(".\n");
                }
                Err(error) => {
                    let _ = write!(page, ".\n\n  ```\n  {}\n  ```\n", error.replace('\n', "\n  "));
                }
            }
        }
        page.push_str(
            "\nThe seed repeats the schedule of commands and faults; when exactly a fault meets a command is the machine's.\n",
        );
        page
    }
}

/// The commit in the working directory, and whether there are changes beside it.
#[must_use]
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no", "--", ":!docs/CAMPAIGN.md"]) {
        Some(changes) if changes.is_empty() => commit,
        Some(_) | None => format!("{commit}, with changes that are not committed"),
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}", std::env::consts::ARCH)
}
