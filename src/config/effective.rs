//! What is in effect and why, for `tenure config check`.

use std::fmt;

use reqwest::Url;
use tenure_event_log::PostgresServers;

use super::error::Origin;
use super::kafka;
use super::layers::{Layers, REDACTED, SETTINGS, Shown, one_line};

/// One setting as it is in effect. Displayed as a line of TOML with its origin as a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// The setting's name.
    pub key: String,
    /// Its value as text, secrets and personal values taken out; `None` if it has none.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
}

impl fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value:?}  # {}", self.key, self.origin),
            None => write!(f, "# {} is not set", self.key),
        }
    }
}

/// Every setting, in the order of the default file.
pub fn settings(layers: &Layers) -> Vec<EffectiveSetting> {
    let mut settings: Vec<EffectiveSetting> = SETTINGS
        .iter()
        .map(|(key, shown)| EffectiveSetting {
            key: (*key).to_owned(),
            value: layers.get(key).map(|raw| match shown {
                Shown::Whole => one_line(&raw.text),
                Shown::Secret => without_password(&raw.text),
                Shown::Never => REDACTED.to_owned(),
            }),
            origin: layers.origin(key),
        })
        .collect();
    let (properties, origin) = layers.kafka_properties();
    for (name, value) in properties {
        let value = if kafka::is_secret(name) { REDACTED.to_owned() } else { one_line(&value.to_string()) };
        settings.push(EffectiveSetting {
            key: format!("kafka.properties.{}", one_line(name)),
            value: Some(value),
            origin: origin.clone(),
        });
    }
    let (msps, origin) = layers.msps();
    for (index, table) in msps.iter().enumerate() {
        for (field, value) in table {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            settings.push(EffectiveSetting {
                key: format!("msp[{index}].{field}"),
                value: Some(if field.starts_with("admin_") { REDACTED.to_owned() } else { one_line(&text) }),
                origin: origin.clone(),
            });
        }
    }
    settings
}

/// A database or mail URL with the password and every parameter taken out.
fn without_password(text: &str) -> String {
    if let Some(directory) = text.strip_prefix("sqlite://") {
        return one_line(&format!("sqlite://{directory}"));
    }
    let addresses = PostgresServers::addresses(text);
    if addresses.len() > 1 {
        return addresses.iter().map(|address| without_password(address)).collect::<Vec<_>>().join(" or ");
    }
    let Ok(mut url) = Url::parse(text) else { return REDACTED.to_owned() };
    if url.query().is_some() {
        url.set_query(Some(REDACTED));
    }
    if url.password().is_some() && url.set_password(Some(REDACTED)).is_err() {
        return REDACTED.to_owned();
    }
    one_line(url.as_str())
}
