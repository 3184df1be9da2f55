//! The `campaign` program: `make campaign` runs it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use tenure_campaign::report::{self, Circumstances, Line, Report};
use tenure_campaign::scenario::{ALL, Run, Scenario, Tally, named};

/// More than there are cores: some of the work blocks its thread for a while, such as the start of a server.
const WORKERS: usize = 4;

/// Crashes, cuts and freezes Tenure under load, then checks its history.
#[derive(Parser)]
#[command(name = "campaign")]
struct Arguments {
    /// How much of everything: 100 is a full campaign.
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this scenario; may be given several times. `list` names them.
    #[arg(long)]
    scenario: Vec<String>,
    /// The service's program.
    #[arg(long, default_value = "target/release/tenure")]
    program: PathBuf,
    /// The report in which the scenarios' lines are replaced; none is written without it.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("campaign: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    if arguments.scenario.iter().any(|name| name == "list") {
        for scenario in ALL {
            println!("{:<24} {}", scenario.name, scenario.about);
        }
        return Ok(true);
    }
    ensure!(arguments.rounds > 0, "--rounds must be at least 1");
    let program = arguments.program.canonicalize().with_context(|| format!("{}", arguments.program.display()))?;
    let chosen: Vec<&Scenario> = if arguments.scenario.is_empty() {
        ALL.iter().collect()
    } else {
        let find = |name: &String| named(name).with_context(|| format!("there is no scenario {name}"));
        arguments.scenario.iter().map(find).collect::<anyhow::Result<_>>()?
    };
    let seed = arguments.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 32);
    println!("seed {seed}; repeat with --seed {seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let circumstances = Circumstances { seed, commit: report::commit(), began: chrono::Utc::now() };
    let mut all_well = true;
    for scenario in chosen {
        let run = Run::new(program.clone(), seed, scenario, arguments.rounds);
        let began = Instant::now();
        let result = runtime.block_on(async { tokio::spawn((scenario.run)(run)).await });
        let result: anyhow::Result<Tally> = result.unwrap_or_else(|panic| Err(panic.into()));
        let seconds = began.elapsed().as_secs_f64();
        match &result {
            Ok(tally) => println!("{:<24} {seconds:6.1} s  {tally:?}", scenario.name),
            Err(error) => println!("{:<24} {seconds:6.1} s  FAILED: {error:#}", scenario.name),
        }
        // What was not run is not counted against it, and named all the same.
        all_well &= result.is_ok();
        // After each, so that a broken run leaves what it found.
        if let Some(path) = &arguments.report {
            let mut report = Report::read(&std::fs::read_to_string(path).unwrap_or_default());
            report.put(Line::new(scenario, seconds, &result.map_err(|error| format!("{error:#}")), &circumstances));
            std::fs::write(path, report.markdown()).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    Ok(all_well)
}
