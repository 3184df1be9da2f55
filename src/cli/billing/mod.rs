//! `tenure billing`.

mod reconcile;
mod replay;
mod resume;

use clap::Subcommand;

use crate::config::Config;

/// What to do with billing events.
#[derive(Subcommand)]
pub enum Billing {
    /// Tell a stopped export where to go on. `/health/ready` and the log say why it stopped.
    Resume(resume::Resume),
    /// Sum up the billing events per tenant and month, as the API's reconciliation does, for every MSP.
    ///
    /// Reads beside a running service, and changes nothing.
    Reconcile(reconcile::Reconcile),
    /// Write billing events of a time or a part of the log once more, to a topic of their own.
    Replay(replay::Replay),
}

impl Billing {
    /// Runs the subcommand.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Resume(resume) => resume.run(config),
            Self::Reconcile(reconcile) => reconcile.run(config),
            Self::Replay(replay) => replay.run(config),
        }
    }
}
