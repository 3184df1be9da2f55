//! `tenure backup`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tenure_event_log::{EngineConfig, EventLog, MasterKey};

use super::block_on;
use crate::config::Config;

/// Where to, and whether with the key.
#[derive(Args)]
pub struct Backup {
    /// Gets `log.db` and `master.key`; made if it is not there. What is in it is never overwritten.
    directory: PathBuf,
    /// Leave `master.key` out, to keep it apart from the log. Without it nothing personal in the log can be read again.
    #[arg(long)]
    without_key: bool,
}

impl Backup {
    /// Copies the log beside the service that writes it. Views are left out: they are made anew from the log.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        if matches!(config.engine, EngineConfig::Postgres { .. }) {
            anyhow::bail!(
                "PostgreSQL is backed up with its own programs, pg_dump or pg_basebackup, and {} with a copy of its own: \
                 see \"Backup\" in docs/RUNBOOK.md",
                config.master_key_path().display()
            );
        }
        let key_file = self.directory.join("master.key");
        let key = if self.without_key {
            None
        } else {
            anyhow::ensure!(!key_file.try_exists()?, "{} is there already", key_file.display());
            Some(MasterKey::load(&config.master_key_path())?)
        };
        let copied = block_on(async { Ok(EventLog::back_up(&config.engine, &self.directory, key.as_ref()).await?) })?;
        if let Some(key) = &key {
            key.save_new(&key_file).with_context(|| format!("{} can't be written", key_file.display()))?;
        }
        let with =
            if key.is_some() { "with master.key" } else { "without master.key, which you have to keep yourself" };
        println!(
            "Backed up to {}: positions 1 to {}, {} bytes, {with}.",
            self.directory.display(),
            copied.head.get(),
            copied.bytes
        );
        Ok(())
    }
}
