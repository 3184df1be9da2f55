//! The billing export's settings: `kafka_...`, and librdkafka's own properties under `[kafka.properties]`.

use std::collections::BTreeMap;

use tenure_projections::export::{ExportSettings, Security};
use toml::{Table, Value};

use super::Mode;
use super::error::{ConfigError, Origin};
use super::layers::{Layers, REDACTED, one_line};
use super::values;

/// Longest name of a topic that Kafka takes.
const MAX_TOPIC_BYTES: usize = 249;
/// What production mode asks of the topics: an event outlives the loss of one broker and is never acknowledged by one alone.
const SAFE_REPLICATION: i32 = 3;
const SAFE_IN_SYNC: i32 = 2;

/// Where billing events go; nowhere without brokers.
pub fn export(layers: &Layers, mode: Mode) -> Result<Option<ExportSettings>, ConfigError> {
    let brokers = layers.optional("kafka_brokers", "HOST:PORT, several separated by commas", brokers)?;
    let mut settings = ExportSettings::new(brokers.clone().unwrap_or_default());
    let name = "letters, digits, dots, hyphens and underscores, at most 249 of them";
    settings.cell = layers.required("cell", "1 to 64 letters, digits, hyphens and underscores", cell)?;
    settings.public_url = layers.required("public_url", "an http or https URL without a query", public_url)?;
    settings.topic = layers.required("kafka_topic", name, topic)?;
    settings.progress_topic = layers.required("kafka_progress_topic", name, topic)?;
    settings.partitions = values::number(layers, "kafka_partitions", 1..=1_000)?;
    settings.replication = values::number(layers, "kafka_replication", 1..=15)?;
    settings.min_insync_replicas = values::number(layers, "kafka_min_insync_replicas", 1..=15)?;
    settings.retention_ms = layers.required("kafka_retention_ms", "-1 (for ever) or milliseconds", retention)?;
    settings.security = security(layers)?;
    settings.properties = properties(layers)?;

    let refused = |key: &'static str, reason: String| {
        Err(ConfigError::Refused { key: key.to_owned(), origin: layers.origin(key), reason })
    };
    if settings.topic == settings.progress_topic {
        return refused("kafka_progress_topic", "it is the billing topic's name".to_owned());
    }
    if settings.min_insync_replicas > settings.replication {
        return refused(
            "kafka_min_insync_replicas",
            format!("there are {} copies (kafka_replication)", settings.replication),
        );
    }
    if brokers.is_none() {
        return Ok(None);
    }
    if mode == Mode::Production {
        if settings.replication < SAFE_REPLICATION {
            return refused("kafka_replication", format!("production mode keeps at least {SAFE_REPLICATION} copies"));
        }
        if settings.min_insync_replicas < SAFE_IN_SYNC {
            let reason =
                format!("production mode counts an event as written when {SAFE_IN_SYNC} copies have it, or more");
            return refused("kafka_min_insync_replicas", reason);
        }
        if matches!(layers.origin("kafka_sasl_password"), Origin::File(_)) {
            let reason = "production mode takes secrets only from the environment or from a file that it names \
                          (TENURE_KAFKA_SASL_PASSWORD_FILE)";
            return refused("kafka_sasl_password", reason.to_owned());
        }
    }
    if let Err(reason) = settings.check() {
        return refused("kafka_brokers", one_line(&reason));
    }
    Ok(Some(settings))
}

fn brokers(text: &str) -> Option<Vec<String>> {
    text.split(',').map(str::trim).map(|broker| host_and_port(broker).then(|| broker.to_owned())).collect()
}

fn host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

fn cell(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (plain && (1..=64).contains(&text.len())).then(|| text.to_owned())
}

fn public_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let plain =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && plain).then(|| text.trim_end_matches('/').to_owned())
}

/// A topic's name as Kafka takes it.
#[must_use]
pub fn topic(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let special = matches!(text, "." | "..");
    (plain && !special && (1..=MAX_TOPIC_BYTES).contains(&text.len())).then(|| text.to_owned())
}

fn retention(text: &str) -> Option<i64> {
    text.parse().ok().filter(|milliseconds| *milliseconds == -1 || *milliseconds > 0)
}

fn security(layers: &Layers) -> Result<Security, ConfigError> {
    let one_of = |allowed: &'static [&'static str]| {
        move |text: &str| allowed.iter().find(|name| name.eq_ignore_ascii_case(text)).map(|name| (*name).to_owned())
    };
    let protocols = one_of(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]);
    let mechanisms = one_of(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    let security = Security {
        protocol: layers.optional(
            "kafka_security_protocol",
            "plaintext, ssl, sasl_plaintext or sasl_ssl",
            protocols,
        )?,
        mechanism: layers.optional("kafka_sasl_mechanism", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", mechanisms)?,
        username: layers.optional("kafka_sasl_username", "a user's name", |text| Some(text.to_owned()))?,
        password: layers.optional("kafka_sasl_password", "a password", |text| Some(text.into()))?,
        ca: layers.optional("kafka_ssl_ca", "a path", values::path)?,
    };
    let missing = |key, reason| Err(ConfigError::Missing { key, reason });
    let with_sasl = security.protocol.as_deref().is_some_and(|protocol| protocol.starts_with("sasl"));
    match (with_sasl, &security.mechanism, &security.username, &security.password) {
        (true, None, _, _) => missing("kafka_sasl_mechanism", "kafka_security_protocol asks for SASL"),
        (true, Some(_), None, _) => missing("kafka_sasl_username", "kafka_security_protocol asks for SASL"),
        (true, Some(_), Some(_), None) => missing("kafka_sasl_password", "kafka_security_protocol asks for SASL"),
        (false, Some(_), _, _) => {
            missing("kafka_security_protocol", "kafka_sasl_mechanism needs sasl_ssl or sasl_plaintext")
        }
        (true, Some(_), Some(_), Some(_)) | (false, None, _, _) => Ok(security),
    }
}

fn properties(layers: &Layers) -> Result<BTreeMap<String, String>, ConfigError> {
    let (table, origin) = layers.kafka_properties();
    let mut properties = BTreeMap::new();
    for (name, value) in table {
        let key = format!("kafka.properties.{}", one_line(name));
        if ExportSettings::is_reserved(name) {
            let reason = "the export sets it itself, or a setting of its own does (kafka_...)".to_owned();
            return Err(ConfigError::Refused { key, origin: origin.clone(), reason });
        }
        let Some(text) = scalar(value) else {
            let allowed = "a string, a number or a boolean".to_owned();
            let value = if is_secret(name) { REDACTED.to_owned() } else { one_line(&value.to_string()) };
            return Err(ConfigError::Invalid { key, value, origin: origin.clone(), allowed });
        };
        properties.insert(name.clone(), text);
    }
    Ok(properties)
}

/// A property as text, if it is one value.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// The `[kafka]` table of a file: nothing but `properties` may stand in it.
pub fn table(value: Value, origin: &Origin) -> Result<Table, ConfigError> {
    let wrong = |value: &Value| ConfigError::Invalid {
        key: "kafka".to_owned(),
        value: one_line(&value.to_string()),
        origin: origin.clone(),
        allowed: "a table [kafka.properties]".to_owned(),
    };
    let Value::Table(mut kafka) = value else { return Err(wrong(&value)) };
    let properties = kafka.remove("properties");
    if let Some(other) = kafka.keys().next() {
        let key = format!("kafka.{}", one_line(other));
        return Err(ConfigError::Unknown { key, origin: origin.clone(), nearest: None });
    }
    match properties {
        None => Ok(Table::new()),
        Some(Value::Table(properties)) => Ok(properties),
        Some(other) => Err(wrong(&other)),
    }
}

/// Whether a property's value is not for showing.
pub fn is_secret(property: &str) -> bool {
    ["password", "secret", "key", "token", "jaas"].iter().any(|word| property.contains(word))
}
