//! The default file, a file and the environment laid over each other: for each setting its last value and its origin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::{ConfigError, Origin};
use super::kafka;

/// The commented default file.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

const ENVIRONMENT_PREFIX: &str = "TENURE_";
/// The configuration file, and what `tenure pat` asks a service with: read by the command line, so not settings.
const COMMAND_LINE_VARIABLES: [&str; 3] = ["TENURE_CONFIG", "TENURE_URL", "TENURE_TOKEN"];
/// The standard name of a collector's address, and the setting that it stands for.
const OTLP_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const OTLP_ENDPOINT: &str = "otlp_endpoint";
/// The list of MSPs, and librdkafka's properties: what only files hold.
const MSP: &str = "msp";
const KAFKA: &str = "kafka";

/// Whether a setting's value may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    Whole,
    /// It may hold a password: only with the password taken out, and never when it is malformed.
    Secret,
    /// It is a password.
    Never,
}

/// Every setting but the `[[msp]]` list and `[kafka.properties]`, in the order of the default file.
pub const SETTINGS: &[(&str, Shown)] = &[
    ("mode", Shown::Whole),
    ("listen", Shown::Whole),
    ("metrics_listen", Shown::Whole),
    ("data_dir", Shown::Whole),
    ("database_url", Shown::Secret),
    ("database_connections", Shown::Whole),
    ("tls_cert", Shown::Whole),
    ("tls_key", Shown::Whole),
    ("log", Shown::Whole),
    ("log_format", Shown::Whole),
    ("otlp_endpoint", Shown::Whole),
    ("otlp_sampling_ratio", Shown::Whole),
    ("clock_offset", Shown::Whole),
    ("views_ahead", Shown::Whole),
    ("jwt_jwks", Shown::Whole),
    ("jwt_issuer", Shown::Whole),
    ("jwt_audience", Shown::Whole),
    ("jwt_leeway_seconds", Shown::Whole),
    ("retention_days", Shown::Whole),
    ("release_short_codes", Shown::Whole),
    ("body_limit_bytes", Shown::Whole),
    ("requests_per_minute", Shown::Whole),
    ("token_requests_per_minute", Shown::Whole),
    ("token_burst", Shown::Whole),
    ("view_wait_ms", Shown::Whole),
    ("shutdown_seconds", Shown::Whole),
    ("drain_seconds", Shown::Whole),
    ("cell", Shown::Whole),
    ("public_url", Shown::Whole),
    ("kafka_brokers", Shown::Whole),
    ("kafka_topic", Shown::Whole),
    ("kafka_progress_topic", Shown::Whole),
    ("kafka_partitions", Shown::Whole),
    ("kafka_replication", Shown::Whole),
    ("kafka_min_insync_replicas", Shown::Whole),
    ("kafka_retention_ms", Shown::Whole),
    ("kafka_security_protocol", Shown::Whole),
    ("kafka_sasl_mechanism", Shown::Whole),
    ("kafka_sasl_username", Shown::Whole),
    ("kafka_sasl_password", Shown::Never),
    ("kafka_ssl_ca", Shown::Whole),
    ("dns_server", Shown::Whole),
    ("dns_timeout_ms", Shown::Whole),
    ("smtp_url", Shown::Secret),
];

/// A value as text, and where it came from.
#[derive(Clone, Debug)]
pub struct Raw {
    pub text: String,
    pub origin: Origin,
}

/// The settings as they were written, later layers over earlier ones.
pub struct Layers {
    values: BTreeMap<&'static str, Raw>,
    msps: Vec<Table>,
    msps_origin: Origin,
    kafka_properties: Table,
    kafka_origin: Origin,
}

impl Layers {
    /// Reads the default file, then `file`, then those `variables` that start with `TENURE_`.
    pub fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self {
            values: BTreeMap::new(),
            msps: Vec::new(),
            msps_origin: Origin::Default,
            kafka_properties: Table::new(),
            kafka_origin: Origin::Default,
        };
        layers.add_file(DEFAULT_FILE, &Origin::Default)?;
        if let Some(path) = file {
            let origin = Origin::File(path.to_owned());
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError::Unreadable { origin: origin.to_string(), reason: error.to_string() })?;
            layers.add_file(&text, &origin)?;
        }
        let (mut ours, others): (Vec<_>, Vec<_>) =
            variables.into_iter().partition(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        // What every OpenTelemetry program reads; a variable of ours wins over it.
        for (name, value) in others.into_iter().filter(|(name, value)| name == OTLP_VARIABLE && !value.is_empty()) {
            layers.values.insert(OTLP_ENDPOINT, Raw { text: value, origin: Origin::Environment(name) });
        }
        ours.sort_unstable();
        for (name, value) in ours {
            layers.add_variable(&name, value)?;
        }
        Ok(layers)
    }

    fn add_file(&mut self, text: &str, origin: &Origin) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            ConfigError::Syntax {
                origin: origin.clone(),
                line: before.matches('\n').count() + 1,
                reason: one_line(error.message()),
            }
        })?;
        for (key, value) in table {
            if key == MSP {
                self.msps = msp_tables(value, origin)?;
                self.msps_origin = origin.clone();
                continue;
            }
            if key == KAFKA {
                self.kafka_properties = kafka::table(value, origin)?;
                self.kafka_origin = origin.clone();
                continue;
            }
            let (key, shown) = setting(&key).ok_or_else(|| unknown(&key, origin.clone()))?;
            let text = match value {
                Value::String(text) => text,
                Value::Integer(number) => number.to_string(),
                Value::Boolean(flag) => flag.to_string(),
                Value::Float(number) => number.to_string(),
                other @ (Value::Datetime(_) | Value::Array(_) | Value::Table(_)) => {
                    let value = match shown {
                        Shown::Whole => one_line(&other.to_string()),
                        Shown::Secret | Shown::Never => REDACTED.to_owned(),
                    };
                    let allowed = "a string, a number or a boolean".to_owned();
                    return Err(ConfigError::Invalid { key: key.to_owned(), value, origin: origin.clone(), allowed });
                }
            };
            self.values.insert(key, Raw { text, origin: origin.clone() });
        }
        Ok(())
    }

    fn add_variable(&mut self, name: &str, value: String) -> Result<(), ConfigError> {
        if COMMAND_LINE_VARIABLES.contains(&name) || is_orchestrators(name) {
            return Ok(());
        }
        let origin = Origin::Environment(name.to_owned());
        let lower = name.trim_start_matches(ENVIRONMENT_PREFIX).to_ascii_lowercase();
        if let Some((key, Shown::Secret | Shown::Never)) = lower.strip_suffix("_file").and_then(setting) {
            if value.is_empty() {
                return Ok(());
            }
            if let Some(Raw { origin: first @ Origin::Environment(_), .. }) = self.values.get(key) {
                let reason = format!("{first} sets it too");
                return Err(ConfigError::Refused { key: key.to_owned(), origin, reason });
            }
            let text = std::fs::read_to_string(&value).map_err(|error| ConfigError::Unreadable {
                origin: format!("file {} ({origin})", PathBuf::from(&value).display().to_string().escape_debug()),
                reason: error.to_string(),
            })?;
            self.values.insert(key, Raw { text: text.trim_end().to_owned(), origin });
            return Ok(());
        }
        let (key, _) = setting(&lower).ok_or_else(|| unknown(name, origin.clone()))?;
        // An empty variable is how compose files and unit files say "not set".
        if !value.is_empty() {
            self.values.insert(key, Raw { text: value, origin });
        }
        Ok(())
    }

    /// The value of a setting, if it has one.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        self.values.get(key).filter(|raw| !raw.text.is_empty())
    }

    /// Where a setting's value came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.values.get(key).map_or(Origin::Default, |raw| raw.origin.clone())
    }

    /// The entries of the `[[msp]]` list and where they stand.
    pub fn msps(&self) -> (&[Table], &Origin) {
        (&self.msps, &self.msps_origin)
    }

    /// librdkafka's own properties and where they stand.
    pub fn kafka_properties(&self) -> (&Table, &Origin) {
        (&self.kafka_properties, &self.kafka_origin)
    }

    /// A setting that must have a value: every one that the default file sets.
    pub fn required<T>(
        &self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        self.optional(key, allowed, parse)?.ok_or(ConfigError::Missing { key, reason: "it can't be empty" })
    }

    /// A setting that may be left out.
    pub fn optional<T>(
        &self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        parse(&raw.text).map(Some).ok_or_else(|| ConfigError::Invalid {
            key: key.to_owned(),
            value: match setting(key) {
                Some((_, Shown::Whole)) => one_line(&format!("{:?}", raw.text)),
                Some((_, Shown::Secret | Shown::Never)) | None => REDACTED.to_owned(),
            },
            origin: raw.origin.clone(),
            allowed: allowed.to_owned(),
        })
    }
}

/// What stands for a value that is not shown.
pub const REDACTED: &str = "***";

fn setting(key: &str) -> Option<(&'static str, Shown)> {
    SETTINGS.iter().find(|(name, _)| *name == key).copied()
}

/// Kubernetes and Docker links put `TENURE_PORT`, `TENURE_SERVICE_HOST` and the like into the environment when a service
/// is named tenure. They are nobody's mistake.
fn is_orchestrators(name: &str) -> bool {
    let rest = name.trim_start_matches(ENVIRONMENT_PREFIX);
    rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
}

fn unknown(name: &str, origin: Origin) -> ConfigError {
    let plain = name.trim_start_matches(ENVIRONMENT_PREFIX).to_ascii_lowercase();
    let nearest = SETTINGS
        .iter()
        .map(|(key, _)| (distance(key, &plain), *key))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, key)| key);
    ConfigError::Unknown { key: one_line(name), origin, nearest }
}

/// Edit distance; names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn msp_tables(value: Value, origin: &Origin) -> Result<Vec<Table>, ConfigError> {
    let wrong = |value: &Value| ConfigError::Invalid {
        key: MSP.to_owned(),
        value: one_line(&value.to_string()),
        origin: origin.clone(),
        allowed: "a list of tables, each headed [[msp]]".to_owned(),
    };
    let Value::Array(entries) = value else { return Err(wrong(&value)) };
    entries
        .into_iter()
        .map(|entry| match entry {
            Value::Table(table) => Ok(table),
            other => Err(wrong(&other)),
        })
        .collect()
}

/// A text cut to one readable line, whatever somebody put into it.
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut line: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push_str("...");
    }
    line
}
