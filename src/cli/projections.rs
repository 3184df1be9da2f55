//! `tenure projections`.

use anyhow::Context;
use clap::Subcommand;
use tenure_event_log::{EngineConfig, EventLog, LogConfig, MasterKey};
use tenure_projections::{Views, ViewsConfig};

use super::block_on;
use crate::config::Config;
use crate::control::{ProjectionLine, lines, socket_path};

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
        let master_key = MasterKey::load(&config.master_key_path())?;
        let log_config = LogConfig::new(config.engine.clone(), master_key, config.clock());
        let log = EventLog::open(log_config).await.context("the log can't be opened")?;
        let views = Views::open(ViewsConfig::new(config.engine.clone()), log.clone())
            .await
            .context("the views can't be opened")?;
        let result = match self {
            Self::List => {
                print(&lines(&views));
                Ok(())
            }
            Self::Rebuild { names, all } => {
                views.start();
                let names = if *all { every_view() } else { names.clone() };
                let rebuilds = names
                    .into_iter()
                    .map(async |name| views.rebuild(&name).await.map(|()| println!("{name} is rebuilt.")));
                futures::future::try_join_all(rebuilds).await.map(drop)
            }
        };
        views.shutdown().await;
        log.shutdown().await;
        Ok(result?)
    }
}

fn every_view() -> Vec<String> {
    Views::names().map(str::to_owned).to_vec()
}

/// A client of the service's control socket, where the embedded engine is in use by a service.
fn running_service(config: &Config) -> anyhow::Result<Option<reqwest::Client>> {
    let socket = socket_path(&config.data_dir);
    let embedded = matches!(config.engine, EngineConfig::Sqlite { .. });
    if !embedded || std::os::unix::net::UnixStream::connect(&socket).is_err() {
        return Ok(None);
    }
    Ok(Some(reqwest::Client::builder().unix_socket(socket).build()?))
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
