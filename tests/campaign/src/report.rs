//! `docs/CAMPAIGN.md`, as the campaign itself writes it: a line per scenario, from the last time that it was run.
//!
//! A whole campaign takes an hour. So a run of some scenarios replaces their lines and leaves the others as they stand; each says
//! of which commit and which day it is.

use std::fmt::Write;
use std::process::Command;

use chrono::{DateTime, Utc};

use crate::scenario::{ALL, Scenario, Tally};

/// What all of a run's scenarios have in common.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// What all choices come from.
    pub seed: u64,
    /// The commit that the programs were built from: of the moment when the run began.
    pub commit: String,
    /// When it began.
    pub began: DateTime<Utc>,
}

/// The columns of the table, beginning with the scenario's name.
const COLUMNS: [&str; 13] = [
    "scenario",
    "result",
    "rounds",
    "kills",
    "cuts",
    "commands",
    "acknowledged",
    "reads compared",
    "events",
    "seconds",
    "commit",
    "began (UTC)",
    "seed",
];

/// What the page says of one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    cells: [String; COLUMNS.len()],
    told: String,
}

/// The whole page, in the order of the scenarios.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    lines: Vec<Line>,
}

impl Line {
    /// What a scenario came to just now.
    #[must_use]
    pub fn new(scenario: &Scenario, seconds: f64, result: &Result<Tally, String>, run: &Circumstances) -> Self {
        let verdict = match result {
            Ok(Tally { not_run: Some(_), .. }) => "NOT RUN",
            Ok(Tally { not_run: None, .. }) => "held",
            Err(_) => "FAILED",
        };
        let Tally { rounds, kills, cuts, commands, acknowledged, reads, events, remarks, not_run } =
            result.clone().unwrap_or_default();
        let cells = [
            scenario.name.to_owned(),
            verdict.to_owned(),
            rounds.to_string(),
            kills.to_string(),
            cuts.to_string(),
            commands.to_string(),
            acknowledged.to_string(),
            reads.to_string(),
            events.to_string(),
            format!("{seconds:.1}"),
            run.commit.clone(),
            run.began.format("%Y-%m-%d %H:%M").to_string(),
            run.seed.to_string(),
        ];
        let mut told = scenario.about.to_owned();
        for remark in remarks.iter().chain(&not_run) {
            // Writing to a String can't fail.
            let _ = write!(told, "; {remark}");
        }
        if let Err(error) = result {
            let _ = write!(told, ": {}", error.replace('\n', " "));
        }
        told.push('.');
        Self { cells, told }
    }

    fn name(&self) -> &str {
        &self.cells[0]
    }

    fn number(&self, column: &str) -> u64 {
        let index = COLUMNS.iter().position(|name| *name == column).unwrap_or_default();
        self.cells[index].parse().unwrap_or_default()
    }
}

impl Report {
    /// What an earlier run has written. Lines that are none of ours are left out, as are scenarios that are gone.
    #[must_use]
    pub fn read(page: &str) -> Self {
        let mut report = Self::default();
        for line in page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
            let cells: Vec<String> = line.split(" | ").map(str::to_owned).collect();
            let Ok(cells) = <[String; COLUMNS.len()]>::try_from(cells) else { continue };
            let told = page.lines().find_map(|told| told.strip_prefix(&format!("- **{}**: ", cells[0])));
            if let Some(told) = told {
                report.put(Line { told: told.to_owned(), cells });
            }
        }
        report
    }

    /// Puts a scenario's line in the place of an earlier one.
    pub fn put(&mut self, line: Line) {
        self.lines.retain(|earlier| earlier.name() != line.name());
        self.lines.push(line);
        let place = |name: &str| ALL.iter().position(|scenario| scenario.name == name);
        self.lines.retain(|line| place(line.name()).is_some());
        self.lines.sort_by_key(|line| place(line.name()));
    }

    /// The page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let sum = |column| self.lines.iter().map(|line| line.number(column)).sum::<u64>();
        let failed = self.lines.iter().any(|line| line.cells[1] == "FAILED");
        let mut page = format!(
            "# The crash campaign\n\n\
             Written by `make campaign`. Real processes of the service under load are killed, cut off, frozen and starved.\n\
             Afterwards what the log holds is compared with what the clients were told: every acknowledged command is there\n\
             once, no other one twice, none that was refused; positions have no gap; each stream can be folded; claims and\n\
             limits are what the events say; each view equals a rebuild of it. Each line is of the last run of its scenario.\n\n\
             | | |\n|---|---|\n\
             | result | {} |\n\
             | machine | {} |\n\
             | processes killed | {} |\n\
             | answers cut off | {} |\n\
             | commands given, of these acknowledged | {}, {} |\n\n\
             | {} |\n|{}\n",
            if failed { "SOMETHING FAILED" } else { "everything held" },
            machine(),
            sum("kills"),
            sum("cuts"),
            sum("commands"),
            sum("acknowledged"),
            COLUMNS.join(" | "),
            "---|".repeat(COLUMNS.len()),
        );
        for line in &self.lines {
            let _ = writeln!(page, "| {} |", line.cells.join(" | "));
        }
        page.push_str("\nWhat was done:\n\n");
        for line in &self.lines {
            let _ = writeln!(page, "- **{}**: {}", line.name(), line.told);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scenario: &Scenario, commit: &str, result: &Result<Tally, String>) -> Line {
        let run = Circumstances { seed: 7, commit: commit.to_owned(), began: DateTime::UNIX_EPOCH };
        Line::new(scenario, 1.25, result, &run)
    }

    #[test]
    fn a_run_of_some_scenarios_replaces_their_lines_and_leaves_the_others() {
        let tally = Tally { kills: 3, remarks: vec!["it was felt".to_owned()], ..Tally::default() };
        let mut report = Report::default();
        // In an order of their own: the page has that of the campaign.
        for scenario in [&ALL[2], &ALL[0], &ALL[1]] {
            report.put(line(scenario, "aaaa", &Ok(tally.clone())));
        }
        let mut read = Report::read(&report.markdown());
        assert_eq!(read, report);
        assert!(read.markdown().contains("| processes killed | 9 |") && read.markdown().contains("everything held"));

        read.put(line(&ALL[1], "bbbb", &Err("a gap\nat 7".to_owned())));
        let page = read.markdown();
        assert!(page.contains("SOMETHING FAILED") && page.contains("| processes killed | 6 |"), "{page}");
        assert!(page.contains(": a gap at 7."), "{page}");
        assert_eq!((page.matches("| aaaa |").count(), page.matches("| bbbb |").count()), (2, 1), "{page}");
        let again = Report::read(&page);
        assert_eq!(again, read);
        let names: Vec<&str> = again.lines.iter().map(Line::name).collect();
        assert_eq!(names, [ALL[0].name, ALL[1].name, ALL[2].name]);
    }
}
