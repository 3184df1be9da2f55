//! `tenure projections`.

use clap::Subcommand;
use tenure_projections::Views;

use super::{block_on, running_service, with_views};
use crate::config::Config;
use crate::control::{ProjectionLine, RebuildLine, lines, rebuilds};

/// What to do with the views.
#[derive(Subcommand)]
pub enum Projections {
    /// List the projections, how far each has read the log, and what stops it.
    List,
    /// Build a projection's views anew beside the live ones and swap when they have caught up. Reads go on meanwhile;
    /// nothing is billed, mailed or exported again.
    Rebuild {
        /// The projections, as `list` shows them.
        #[arg(required_unless_present = "all")]
        names: Vec<String>,
        /// All of them, at the same time.
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
}

impl Projections {
    /// Asks the running service on the embedded engine; works on the database itself otherwise.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        block_on(async {
            match running_service(config)? {
                Some(service) => self.ask(&service).await,
                None => self.work(config).await,
            }
        })
    }

    async fn ask(&self, service: &reqwest::Client) -> anyhow::Result<()> {
        // The host is only there because a URL must have one; the socket says who is asked.
        match self {
            Self::List => {
                let answer = service.get("http://tenure/projections").send().await?.error_for_status()?;
                print(&serde_json::from_slice::<Vec<ProjectionLine>>(&answer.bytes().await?)?);
            }
            Self::Rebuild { names, all } => {
                let names = if *all { every_view() } else { names.clone() };
                let address = format!("http://tenure/projections/rebuild/{}", names.join(","));
                let answer = service.post(address).send().await?;
                if !answer.status().is_success() {
                    anyhow::bail!("{}", answer.text().await?);
                }
                report(&serde_json::from_slice::<Vec<RebuildLine>>(&answer.bytes().await?)?)?;
            }
        }
        Ok(())
    }

    async fn work(&self, config: &Config) -> anyhow::Result<()> {
        with_views(config, async |views| {
            match self {
                Self::List => print(&lines(views)),
                Self::Rebuild { names, all } => {
                    views.start();
                    let names = if *all { every_view() } else { names.clone() };
                    report(&rebuilds(views.rebuild_together(&names).await?))?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Says what became of each, and fails if one failed.
fn report(rebuilt: &[RebuildLine]) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for RebuildLine { name, failure } in rebuilt {
        match failure {
            None => println!("{name} is rebuilt."),
            Some(why) => failures.push(format!("{name} is not rebuilt: {why}")),
        }
    }
    anyhow::ensure!(failures.is_empty(), failures.join("; "));
    Ok(())
}

fn every_view() -> Vec<String> {
    Views::names().map(str::to_owned).to_vec()
}

fn print(lines: &[ProjectionLine]) {
    println!("{:<14} {:>10} {:>12}  STATE", "PROJECTION", "GENERATION", "POSITION");
    for line in lines {
        let state = match (&line.stopped, line.live) {
            (Some(why), _) => format!("stopped: {why}"),
            (None, true) => "live".to_owned(),
            (None, false) => "building".to_owned(),
        };
        println!("{:<14} {:>10} {:>12}  {state}", line.name, line.generation, line.position);
    }
}
