//! One parser per kind of value. Each gives `None` for what is not one; the caller knows what to say.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;
use secrecy::SecretString;
use tenure_aggregates::values::Retention;
use tenure_event_log::{EngineConfig, PostgresServers};
use tracing_subscriber::EnvFilter;

use super::error::ConfigError;
use super::layers::Layers;
use super::{JwksSource, JwtConfig, LogFormat, Mode, OtlpConfig, TlsConfig};

pub fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

pub fn mode(text: &str) -> Option<Mode> {
    match text {
        "development" => Some(Mode::Development),
        "production" => Some(Mode::Production),
        _ => None,
    }
}

pub fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

pub fn log_filter(text: &str) -> Option<String> {
    EnvFilter::try_new(text).ok().map(|_| text.to_owned())
}

pub fn path(text: &str) -> Option<PathBuf> {
    (!text.contains('\0')).then(|| PathBuf::from(text))
}

pub fn retention(text: &str) -> Option<Retention> {
    Retention::from_days(text.parse().ok()?).ok()
}

pub fn number<T>(layers: &Layers, key: &'static str, range: RangeInclusive<T>) -> Result<T, ConfigError>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let allowed = format!("a whole number from {} to {}", range.start(), range.end());
    layers.required(key, &allowed, |text| text.parse().ok().filter(|number| range.contains(number)))
}

pub fn smtp(text: &str) -> Option<SecretString> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "smtp" | "smtps") && url.has_host()).then(|| SecretString::from(text))
}

/// The engine that `database_url` names, or the embedded one in the data directory.
pub fn engine(layers: &Layers, data_dir: &Path) -> Result<EngineConfig, ConfigError> {
    let max_connections = number(layers, "database_connections", 2..=500)?;
    let allowed = "sqlite://DIRECTORY or postgres://USER:PASSWORD@HOST/DATABASE (several hosts with commas between)";
    let engine = layers.optional("database_url", allowed, |text| {
        if let Some(directory) = text.strip_prefix("sqlite://") {
            let directory = path(directory).filter(|_| !directory.is_empty() && !directory.contains(['?', '#']))?;
            return Some(EngineConfig::Sqlite { directory });
        }
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        (is_postgres && PostgresServers::parse(text).is_ok())
            .then(|| EngineConfig::Postgres { url: SecretString::from(text), max_connections })
    })?;
    Ok(engine.unwrap_or_else(|| EngineConfig::Sqlite { directory: data_dir.to_owned() }))
}

/// Whether a URL has a password in it, beside the host or as a parameter.
pub fn holds_password(url: &str) -> bool {
    PostgresServers::addresses(url)
        .iter()
        .filter_map(|address| Url::parse(address).ok())
        .any(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name.contains("password")))
}

pub fn tls(layers: &Layers) -> Result<Option<TlsConfig>, ConfigError> {
    let certificate = layers.optional("tls_cert", "a path", path)?;
    let key = layers.optional("tls_key", "a path", path)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsConfig { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::Missing { key: "tls_key", reason: "tls_cert is set" }),
        (None, Some(_)) => Err(ConfigError::Missing { key: "tls_cert", reason: "tls_key is set" }),
    }
}

/// Where spans go; nowhere without an endpoint.
pub fn otlp(layers: &Layers) -> Result<Option<OtlpConfig>, ConfigError> {
    let allowed = "an http or https URL without a user, such as http://127.0.0.1:4318";
    let endpoint = layers.optional("otlp_endpoint", allowed, collector)?;
    let ratio = |text: &str| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    let sampling_ratio = layers.required("otlp_sampling_ratio", "a number from 0 to 1", ratio)?;
    Ok(endpoint.map(|endpoint| OtlpConfig { endpoint, sampling_ratio }))
}

fn collector(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (bare && matches!(url.scheme(), "http" | "https")).then_some(url)
}

/// Who may sign tokens: all three settings or none of them.
pub fn jwt(layers: &Layers) -> Result<Option<JwtConfig>, ConfigError> {
    let jwks = layers.optional("jwt_jwks", "a path, an https URL, or an http URL on loopback", jwks)?;
    let issuer = layers.optional("jwt_issuer", "the issuer that tokens name", name)?;
    let audience = layers.optional("jwt_audience", "the audience that tokens name", name)?;
    let missing = |key, reason| Err(ConfigError::Missing { key, reason });
    match (jwks, issuer, audience) {
        (Some(jwks), Some(issuer), Some(audience)) => Ok(Some(JwtConfig { jwks, issuer, audience })),
        (None, None, None) => Ok(None),
        (None, _, _) => missing("jwt_jwks", "jwt_issuer or jwt_audience is set"),
        (Some(_), None, _) => missing("jwt_issuer", "jwt_jwks is set"),
        (Some(_), Some(_), None) => missing("jwt_audience", "jwt_jwks is set"),
    }
}

fn name(text: &str) -> Option<String> {
    (text.len() <= 500 && !text.contains(char::is_control)).then(|| text.to_owned())
}

fn jwks(text: &str) -> Option<JwksSource> {
    if !text.contains("://") {
        return path(text).map(JwksSource::File);
    }
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let bare = url.username().is_empty() && url.password().is_none();
    (bare && (url.scheme() == "https" || (url.scheme() == "http" && loopback))).then_some(JwksSource::Url(url))
}
