//! `tenure token`.

use chrono::TimeDelta;
use clap::Args;
use tenure_aggregates::TenantId;
use tenure_aggregates::values::GroupId;

use crate::config::{Config, Mode, parse_duration};
use crate::identity::{DevelopmentKey, Role, TokenRequest};

/// Whom the token stands for.
///
/// The development key is made once per data directory. A service in production mode does not accept it.
#[derive(Args)]
pub struct Token {
    /// msp-admin, prime-admin, admin, office-admin, dpsk-admin, templates-admin, reports-admin, read-only, auditor,
    /// billing or support.
    #[arg(long)]
    role: Role,
    /// The tenant that the bearer belongs to; the first configured MSP if left out.
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Who the bearer is.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// A group that the bearer is in; may be given several times.
    #[arg(long = "group", value_name = "ID")]
    groups: Vec<GroupId>,
    /// How long the token is valid, for example 30m or 8h.
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = lifetime)]
    expires_in: TimeDelta,
}

fn lifetime(text: &str) -> Result<TimeDelta, String> {
    parse_duration(text)
        .filter(|duration| *duration > TimeDelta::zero())
        .ok_or_else(|| "must be a duration such as 30m, 8h or 7d".to_owned())
}

impl Token {
    /// Prints the bare token.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        anyhow::ensure!(
            config.mode == Mode::Development,
            "production mode accepts no token signed with a development key"
        );
        let key = DevelopmentKey::load_or_create(&config.development_key_path())?;
        let token = key.sign(&TokenRequest {
            role: self.role,
            tenant: self.tenant.unwrap_or(config.default_msp().id),
            subject: self.subject.clone(),
            groups: self.groups.clone().try_into()?,
            now: config.clock().now(),
            expires_in: self.expires_in,
        });
        println!("{token}");
        Ok(())
    }
}
