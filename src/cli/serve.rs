//! `tenure serve`.

use std::io::Write;

use chrono::TimeDelta;
use clap::Args;
use tenure_aggregates::values::Groups;
use tokio::signal::unix::{SignalKind, signal};

use super::from_this_machine;
use crate::application::Application;
use crate::config::{Config, Mode};
use crate::identity::{DevelopmentKey, Role, TokenRequest};
use crate::telemetry;

/// Arguments of `tenure serve`; everything else is configuration.
#[derive(Args)]
pub struct Serve {
    /// Don't print the first steps that development mode greets with.
    #[arg(long)]
    quiet: bool,
}

impl Serve {
    /// Runs until SIGTERM or SIGINT.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            let telemetry = telemetry::init(config)?;
            let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            let stop = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            tokio::pin!(stop);
            let application = tokio::select! {
                built = Application::build(config) => built?,
                // A database that does not answer keeps no stop waiting; nothing is accepted yet.
                () = &mut stop => {
                    tracing::info!("stopped before it listened");
                    telemetry.shutdown().await;
                    return Ok(());
                }
            };
            tracing::info!(address = %application.address(), mode = ?config.mode, "listening");
            if config.mode == Mode::Development && !self.quiet {
                print_first_steps(config, &application)?;
            }
            let ended = application.run(stop).await;
            telemetry.shutdown().await;
            ended
        });
        // Nobody waits for a blocking task that outlived its time.
        runtime.shutdown_background();
        served
    }
}

/// What a newcomer pastes next.
fn print_first_steps(config: &Config, application: &Application) -> anyhow::Result<()> {
    let key = DevelopmentKey::load_or_create(&config.development_key_path())?;
    let token = key.sign(&TokenRequest {
        role: Role::MspAdmin,
        tenant: config.default_msp().id,
        subject: None,
        groups: Groups::default(),
        now: config.clock().now(),
        expires_in: TimeDelta::hours(8),
    });
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", from_this_machine(application.address()));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\nTenure is listening on {url} (development mode, data in {data}).\n\n\
         A token for the role msp-admin, valid for 8 hours:\n\n\
         export MSP_ADMIN_JWT={token}\n\n\
         A first tenant:\n\n\
         curl -s {url}/api/v1/msp/tenants -H \"Authorization: Bearer $MSP_ADMIN_JWT\" \\\n  \
         -H 'Content-Type: application/json' \\\n  \
         -d '{{\"shortCode\": \"acme-corp\", \"displayName\": \"Acme Corporation\", \"contactEmail\": \"it@acmecorp.com\"}}'\n\n\
         All operations: {url}/docs\n",
        data = config.data_dir.display(),
    )?;
    out.flush()?;
    Ok(())
}
