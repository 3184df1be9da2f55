//! `tenure config`.

use std::path::Path;

use clap::Subcommand;

use crate::config::{Config, DEFAULT_FILE};

/// What to do with the configuration.
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and print what is in effect, with each setting's origin and without secrets.
    Check,
    /// Print the commented default file, to start an own one from.
    Default,
}

impl ConfigCommand {
    /// Prints; a wrong value is one line on standard error and exit code 2.
    pub fn run(&self, file: Option<&Path>) -> anyhow::Result<()> {
        match self {
            Self::Check => {
                for setting in Config::load(file)?.effective() {
                    println!("{setting}");
                }
            }
            Self::Default => print!("{DEFAULT_FILE}"),
        }
        Ok(())
    }
}
