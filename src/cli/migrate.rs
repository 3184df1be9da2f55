//! `tenure migrate`.

use anyhow::Context;
use tenure_event_log::EventLog;

use super::block_on;
use crate::config::Config;

/// Applies the migrations that are pending.
pub fn run(config: &Config) -> anyhow::Result<()> {
    block_on(async {
        EventLog::migrate(&config.engine).await.context("the database can't be migrated")?;
        println!("The database's schema is that of this release.");
        Ok(())
    })
}
