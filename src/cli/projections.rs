//! `tenure projections`.

use clap::Subcommand;
use tenure_projections::Views;

use super::{block_on, running_service, with_views};
use crate::config::Config;
use crate::control::{ProjectionLine, lines};

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
                let rebuilds = names.into_iter().map(async |name| {
                    let answer = service.post(format!("http://tenure/projections/{name}/rebuild")).send().await?;
                    if !answer.status().is_success() {
                        anyhow::bail!("{name}: {}", answer.text().await?);
                    }
                    println!("{name} is rebuilt.");
                    Ok(())
                });
                futures::future::try_join_all(rebuilds).await?;
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
                    let rebuilds = names
                        .into_iter()
                        .map(async |name| views.rebuild(&name).await.map(|()| println!("{name} is rebuilt.")));
                    futures::future::try_join_all(rebuilds).await?;
                }
            }
            Ok(())
        })
        .await
    }
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
