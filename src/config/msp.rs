//! The `[[msp]]` list: the roots of the tenant trees, created by the first start.

use tenure_aggregates::TenantId;
use tenure_aggregates::values::{DisplayName, EmailAddress, PersonName, ShortCode};
use toml::{Table, Value};
use uuid::Uuid;

use super::error::{ConfigError, Origin};
use super::layers::{Layers, REDACTED, one_line};

/// Namespace of the ids of MSPs that are listed without one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1b_2f0e_5c0a_5e4b_9d3c_7a41_52e8_90f6);

const FIELDS: [&str; 5] = ["id", "short_code", "display_name", "admin_email", "admin_display_name"];

/// An MSP of this deployment and its first administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MspConfig {
    /// Its tenant id; derived from the short code when the file names none.
    pub id: TenantId,
    /// Its short code.
    pub short_code: ShortCode,
    /// Its name.
    pub display_name: DisplayName,
    /// Where its first administrator is invited.
    pub admin_email: EmailAddress,
    /// The first administrator's name.
    pub admin_display_name: PersonName,
}

/// The list, at least one, no id and no short code twice.
pub fn parse(layers: &Layers) -> Result<Vec<MspConfig>, ConfigError> {
    let (tables, origin) = layers.msps();
    if tables.is_empty() {
        return Err(ConfigError::Missing { key: "msp", reason: "a deployment has at least one MSP" });
    }
    let mut msps: Vec<MspConfig> = Vec::with_capacity(tables.len());
    for (index, table) in tables.iter().enumerate() {
        let msp = Entry { index, table, origin }.parse()?;
        if let Some(same) = msps.iter().position(|other| other.id == msp.id || other.short_code == msp.short_code) {
            let reason = format!("it has the id or the short code of msp[{same}]");
            return Err(ConfigError::Refused { key: format!("msp[{index}]"), origin: origin.clone(), reason });
        }
        msps.push(msp);
    }
    Ok(msps)
}

struct Entry<'a> {
    index: usize,
    table: &'a Table,
    origin: &'a Origin,
}

impl Entry<'_> {
    fn parse(&self) -> Result<MspConfig, ConfigError> {
        if let Some(unknown) = self.table.keys().find(|key| !FIELDS.contains(&key.as_str())) {
            let key = one_line(&self.key(unknown));
            return Err(ConfigError::Unknown { key, origin: self.origin.clone(), nearest: None });
        }
        let short_code = self.field("short_code", ShortCode::parse)?;
        let short_code = short_code.ok_or_else(|| self.invalid("short_code", "nothing", "a short code"))?;
        let display_name = self.field("display_name", DisplayName::parse)?;
        let admin_email = self.field("admin_email", EmailAddress::parse)?;
        let admin_display_name = self.field("admin_display_name", PersonName::parse)?;
        Ok(MspConfig {
            id: self
                .field("id", str::parse)?
                .unwrap_or_else(|| TenantId::from_uuid(Uuid::new_v5(&NAMESPACE, short_code.as_str().as_bytes()))),
            display_name: display_name.ok_or_else(|| self.invalid("display_name", "nothing", "a name"))?,
            admin_email: admin_email.ok_or_else(|| self.invalid("admin_email", "nothing", "an e-mail address"))?,
            admin_display_name: match admin_display_name {
                Some(name) => name,
                None => PersonName::parse("MSP Admin")
                    .map_err(|error| self.invalid("admin_display_name", "nothing", &error.to_string()))?,
            },
            short_code,
        })
    }

    fn field<T, E: std::fmt::Display>(
        &self,
        field: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.table.get(field) else { return Ok(None) };
        let Value::String(text) = value else {
            return Err(self.invalid(field, &shown(field, &value.to_string()), "a string"));
        };
        parse(text).map(Some).map_err(|error| {
            let value = shown(field, &format!("{text:?}"));
            self.invalid(field, &value, &format!("valid: {error}"))
        })
    }

    fn invalid(&self, field: &str, value: &str, allowed: &str) -> ConfigError {
        ConfigError::Invalid {
            key: self.key(field),
            value: value.to_owned(),
            origin: self.origin.clone(),
            allowed: allowed.to_owned(),
        }
    }

    fn key(&self, field: &str) -> String {
        format!("msp[{}].{field}", self.index)
    }
}

/// Names and addresses of people are not repeated, not even to the operator: the line ends up in a log.
fn shown(field: &str, value: &str) -> String {
    if field.starts_with("admin_") { REDACTED.to_owned() } else { one_line(value) }
}
