//! The `campaign` program: `make campaign` runs it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use tenure_campaign::random::Random;
use tenure_campaign::scenario::{ALL, Run, Scenario, Tally, named};

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
    /// Where the report goes; none is written without it.
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
            println!("{:<26} {}", scenario.name, scenario.about);
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut all_well = true;
    for scenario in chosen {
        let run = Run {
            program: program.clone(),
            random: Random::new(seed).child(scenario.name),
            rounds: (scenario.rounds)(arguments.rounds).max(1),
            standstill_seconds: (u64::from(arguments.rounds) * 60 / 100).clamp(6, 60),
        };
        let began = Instant::now();
        let result = runtime.block_on(async { tokio::spawn((scenario.run)(run)).await });
        let result: anyhow::Result<Tally> = result.unwrap_or_else(|panic| Err(panic.into()));
        let seconds = began.elapsed().as_secs_f64();
        match &result {
            Ok(tally) => println!("{:<26} {seconds:6.1} s  {tally:?}", scenario.name),
            Err(error) => println!("{:<26} {seconds:6.1} s  FAILED: {error:#}", scenario.name),
        }
        all_well &= result.is_ok();
    }
    Ok(all_well)
}
