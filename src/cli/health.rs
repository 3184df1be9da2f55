//! `tenure health`: for a container's health check, which has no other program to ask with.

use std::process::ExitCode;
use std::time::Duration;

use super::{block_on, from_this_machine};
use crate::config::Config;

/// Asks `/health/ready` of the service that listens where the configuration says.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    block_on(async {
        let address = from_this_machine(config.listen);
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .no_proxy()
            // The certificate names the service's public host, not this machine's loopback address.
            .danger_accept_invalid_certs(true)
            .build()?;
        let answer = client.get(format!("{scheme}://{address}/health/ready")).send().await?;
        let ready = answer.status().is_success();
        println!("{}", answer.text().await?);
        Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}
