//! Settings: the default file, a file, the environment; parsed once at start, so that nothing later meets a bad value.
//!
//! Every mistake is one line that says which key, which value, where it came from and what is allowed.

mod duration;
mod effective;
mod error;
mod kafka;
mod layers;
mod msp;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;
use tenure_aggregates::values::Retention;
use tenure_event_log::{Clock, EngineConfig};
use tenure_projections::ViewsConfig;
use tenure_projections::export::ExportSettings;

pub use duration::parse as parse_duration;
pub use effective::EffectiveSetting;
pub use error::{ConfigError, Origin};
pub use kafka::topic as kafka_topic;
pub use layers::DEFAULT_FILE;
pub use msp::MspConfig;

use layers::Layers;

/// The largest `token_burst`.
const TOKEN_BURST_MAX: NonZeroU32 = NonZeroU32::new(10_000_000).expect("not zero");

/// Whom the service trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The key that `tenure token` signs with is trusted, and the clock may be moved.
    Development,
    /// Neither, and secrets may not stand in a configuration file.
    Production,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Where the public keys are that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A file, read again when it changes.
    File(PathBuf),
    /// An https URL, or an http URL on loopback.
    Url(reqwest::Url),
}

/// Who may sign tokens, and what these must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtConfig {
    /// The signer's public keys.
    pub jwks: JwksSource,
    /// The `iss` that a token must have.
    pub issuer: String,
    /// The `aud` that a token must name.
    pub audience: String,
}

/// Where spans are sent, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpConfig {
    /// The collector's base URL; `/v1/traces` is added to it.
    pub endpoint: reqwest::Url,
    /// The share of traces that begin here and are recorded, 0 to 1. One that a client began is recorded if it says so.
    pub sampling_ratio: f64,
}

/// A PEM certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The chain, the service's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The settings of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom the service trusts.
    pub mode: Mode,
    /// Address and port of the service.
    pub listen: SocketAddr,
    /// Address and port that `/metrics` has to itself; without one it stands beside the other routes.
    pub metrics_listen: Option<SocketAddr>,
    /// Keys, and the databases of the embedded engine.
    pub data_dir: PathBuf,
    /// Where the log is kept. On the embedded engine the views' `views.db` stands in the same directory.
    pub engine: EngineConfig,
    /// TLS, unless a proxy does it.
    pub tls: Option<TlsConfig>,
    /// A tracing filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where spans are sent, if anywhere.
    pub otlp: Option<OtlpConfig>,
    /// Added to the clock.
    pub clock_offset: TimeDelta,
    /// By how many versions the views are ahead of this release's.
    pub views_ahead: u32,
    /// Who may sign tokens; always there in production mode.
    pub jwt: Option<JwtConfig>,
    /// By how many seconds another machine's clock may differ.
    pub jwt_leeway_seconds: u32,
    /// How long a deprovisioned tenant keeps its data.
    pub retention: Retention,
    /// Whether the short code of a deleted tenant may be used again.
    pub release_short_codes: bool,
    /// The largest request body, in bytes.
    pub body_limit_bytes: usize,
    /// Requests that one principal may make in a minute on this instance; 0 for no limit.
    pub requests_per_minute: u32,
    /// Requests a minute that may be made with one access token on this instance, in the long run; 0 for no limit.
    pub token_requests_per_minute: u32,
    /// How many of them may come at once.
    pub token_burst: NonZeroU32,
    /// How long an answer waits for the views.
    pub view_wait: Duration,
    /// How long stopping may take, everything included.
    pub shutdown: Duration,
    /// How much of it the service goes on serving while `/health/ready` says that it will not for long.
    pub drain: Duration,
    /// Where billing events are exported to, if anywhere.
    pub export: Option<ExportSettings>,
    /// The DNS server that domain proofs are looked up at; the system's if there is none.
    pub dns_server: Option<SocketAddr>,
    /// How long such a look-up may take.
    pub dns_timeout: Duration,
    /// The mail server. Nothing reads it yet.
    pub smtp_url: Option<SecretString>,
    /// The MSPs that the first start creates; at least one. The first one is meant where none is named.
    pub msps: Vec<MspConfig>,
    effective: Vec<EffectiveSetting>,
}

impl Config {
    /// Reads the settings: built-in defaults, then `file`, then those of `variables` that start with `TENURE_`.
    ///
    /// # Errors
    /// The first mistake found, as one line.
    pub fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::read(file, variables)?;
        let mode = layers.required("mode", "development or production", values::mode)?;
        let data_dir = layers.required("data_dir", "a directory", values::path)?;
        let config = Self {
            mode,
            listen: layers.required("listen", "an address and a port such as 127.0.0.1:7101", values::parsed)?,
            metrics_listen: layers.optional(
                "metrics_listen",
                "an address and a port such as 127.0.0.1:7102",
                values::parsed,
            )?,
            engine: values::engine(&layers, &data_dir)?,
            data_dir,
            tls: values::tls(&layers)?,
            log: layers.required("log", "a tracing filter such as info or info,tenure=debug", values::log_filter)?,
            log_format: layers.required("log_format", "text or json", values::log_format)?,
            otlp: values::otlp(&layers)?,
            clock_offset: layers.required("clock_offset", duration::ALLOWED, duration::parse)?,
            views_ahead: values::number(&layers, "views_ahead", 0..=9)?,
            jwt: values::jwt(&layers)?,
            jwt_leeway_seconds: values::number(&layers, "jwt_leeway_seconds", 0..=300)?,
            retention: layers.required("retention_days", "a whole number from 0 to 3650", values::retention)?,
            release_short_codes: layers.required("release_short_codes", "true or false", values::parsed)?,
            body_limit_bytes: values::number(&layers, "body_limit_bytes", 1_024..=16_777_216)?,
            requests_per_minute: values::number(&layers, "requests_per_minute", 0..=10_000_000)?,
            token_requests_per_minute: values::number(&layers, "token_requests_per_minute", 0..=10_000_000)?,
            token_burst: values::number(&layers, "token_burst", NonZeroU32::MIN..=TOKEN_BURST_MAX)?,
            view_wait: Duration::from_millis(values::number(&layers, "view_wait_ms", 0..=60_000)?),
            shutdown: Duration::from_secs(values::number(&layers, "shutdown_seconds", 0..=600)?),
            drain: Duration::from_secs(values::number(&layers, "drain_seconds", 0..=300)?),
            export: kafka::export(&layers, mode)?,
            dns_server: layers.optional(
                "dns_server",
                "an IP address and a port such as 127.0.0.1:53",
                values::parsed,
            )?,
            dns_timeout: Duration::from_millis(values::number(&layers, "dns_timeout_ms", 100..=60_000)?),
            smtp_url: layers.optional("smtp_url", "smtp://HOST:PORT or smtps://HOST:PORT", values::smtp)?,
            msps: msp::parse(&layers)?,
            effective: effective::settings(&layers),
        };
        if config.mode == Mode::Production {
            config.check_production(&layers)?;
        }
        Ok(config)
    }

    /// Reads the settings with the environment of this process; `file` or else `TENURE_CONFIG` names the file.
    ///
    /// # Errors
    /// See [`Config::read`]. A variable that is not UTF-8 is a mistake too.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => variables.push((name, value)),
                Err(value) if name.starts_with("TENURE_") => {
                    return Err(ConfigError::Invalid {
                        value: layers::one_line(&value.to_string_lossy()),
                        origin: Origin::Environment(name.clone()),
                        key: name,
                        allowed: "UTF-8".to_owned(),
                    });
                }
                Err(_) => {}
            }
        }
        let named = variables.iter().find(|(name, value)| name == "TENURE_CONFIG" && !value.is_empty());
        let file = file.map(Path::to_owned).or_else(|| named.map(|(_, value)| PathBuf::from(value)));
        Self::read(file.as_deref(), variables)
    }

    /// The clock that everything in the process reads.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        Clock::with_offset(self.clock_offset)
    }

    /// What the views are opened with.
    #[must_use]
    pub fn views(&self) -> ViewsConfig {
        ViewsConfig { versions_ahead: self.views_ahead, ..ViewsConfig::new(self.engine.clone()) }
    }

    /// The MSP that is meant where none is named.
    #[must_use]
    pub fn default_msp(&self) -> &MspConfig {
        &self.msps[0]
    }

    /// The key that wraps every tenant's key.
    #[must_use]
    pub fn master_key_path(&self) -> PathBuf {
        self.data_dir.join("master.key")
    }

    /// The key that `tenure token` signs with.
    #[must_use]
    pub fn development_key_path(&self) -> PathBuf {
        self.data_dir.join("development.key")
    }

    /// What is in effect, in the order of the default file, secrets taken out.
    #[must_use]
    pub fn effective(&self) -> &[EffectiveSetting] {
        &self.effective
    }

    /// What production mode refuses, each with its reason.
    fn check_production(&self, layers: &Layers) -> Result<(), ConfigError> {
        let refused = |key: &str, reason: &str| {
            Err(ConfigError::Refused { key: key.to_owned(), origin: layers.origin(key), reason: reason.to_owned() })
        };
        if self.clock_offset != TimeDelta::zero() {
            return refused("clock_offset", "production mode runs on the real time");
        }
        if self.views_ahead != 0 {
            return refused("views_ahead", "production mode has the views of this release");
        }
        for key in ["database_url", "smtp_url"] {
            let in_file = layers.get(key).is_some_and(|raw| matches!(raw.origin, Origin::File(_)));
            if in_file && layers.get(key).is_some_and(|raw| values::holds_password(&raw.text)) {
                let reason = "production mode takes secrets only from the environment or from a file that it names \
                              (TENURE_DATABASE_URL_FILE, TENURE_SMTP_URL_FILE)";
                return refused(key, reason);
            }
        }
        if self.jwt.is_none() {
            let reason =
                "production mode does not trust the development key; set jwt_jwks, jwt_issuer and jwt_audience";
            return Err(ConfigError::Missing { key: "jwt_jwks", reason });
        }
        if self.development_key_path().exists() {
            return refused("data_dir", "it holds development.key, which production mode does not start beside");
        }
        Ok(())
    }
}
