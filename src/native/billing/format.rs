//! Billing events as JSON, CSV and lines of JSON.

use actix_web::http::header::HeaderValue;
use chrono::SecondsFormat;
use serde_json::Value;

use super::BillingEvent;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array.
    Json,
    /// One event per line, no array.
    JsonLines,
    /// RFC 4180, with a header line.
    Csv,
}

/// Members of `data` that have a column of their own.
const DATA_COLUMNS: [&str; 7] =
    ["reason", "retentionEndsUtc", "period", "userCount", "resourceCount", "grantCount", "priceId"];

impl Format {
    /// What the client would rather have; JSON where it doesn't say or wants what there isn't.
    pub fn wanted(accept: Option<&HeaderValue>) -> Self {
        let text = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut best = (0.0, Self::Json);
        for range in text.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "application/x-ndjson" => Self::JsonLines,
                "text/csv" | "text/*" => Self::Csv,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            let quality = quality.unwrap_or(0.0);
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    /// The `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }

    /// One piece of the list. `is_first` until an event was written; `is_last` closes the list.
    pub fn write(self, events: &[BillingEvent], is_first: bool, is_last: bool) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::new();
        match self {
            Self::Json => {
                for (index, event) in events.iter().enumerate() {
                    bytes.push(if is_first && index == 0 { b'[' } else { b',' });
                    serde_json::to_writer(&mut bytes, event)?;
                }
                if is_last {
                    bytes.extend_from_slice(if is_first && events.is_empty() { b"[]" } else { b"]" });
                }
            }
            Self::JsonLines => {
                for event in events {
                    serde_json::to_writer(&mut bytes, event)?;
                    bytes.push(b'\n');
                }
            }
            Self::Csv => return csv(events, is_first),
        }
        Ok(bytes)
    }
}

fn csv(events: &[BillingEvent], with_header: bool) -> Result<Vec<u8>, serde_json::Error> {
    let failed = |error: csv::Error| <serde_json::Error as serde::ser::Error>::custom(error);
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if with_header {
        let fixed = ["eventId", "position", "type", "tenantId", "shortCode", "occurredUtc"];
        writer.write_record(fixed.iter().chain(&DATA_COLUMNS)).map_err(failed)?;
    }
    for event in events {
        let data = serde_json::to_value(&event.data)?;
        let mut record = vec![
            event.event_id.to_string(),
            event.position.to_string(),
            event.kind.clone(),
            event.tenant_id.to_string(),
            event.short_code.clone(),
            event.occurred_utc.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        ];
        record.extend(DATA_COLUMNS.map(|name| match &data[name] {
            Value::Null => String::new(),
            Value::String(text) => inert(text),
            other => other.to_string(),
        }));
        writer.write_record(&record).map_err(failed)?;
    }
    writer.into_inner().map_err(<serde_json::Error as serde::ser::Error>::custom)
}

/// Text that a spreadsheet would take for a formula gets an apostrophe in front.
fn inert(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_format() {
        let wanted = |accept: &'static str| Format::wanted(Some(&HeaderValue::from_static(accept)));
        assert_eq!(Format::wanted(None), Format::Json);
        assert_eq!(wanted("*/*"), Format::Json);
        assert_eq!(wanted("text/csv"), Format::Csv);
        assert_eq!(wanted("application/json;q=0.5, application/x-ndjson"), Format::JsonLines);
        assert_eq!(wanted("text/html"), Format::Json);
    }

    #[test]
    fn an_empty_list_is_well_formed() {
        assert_eq!(Format::Json.write(&[], true, true).unwrap(), b"[]");
        assert!(Format::JsonLines.write(&[], true, true).unwrap().is_empty());
        assert!(Format::Csv.write(&[], true, true).unwrap().starts_with(b"eventId,"));
    }

    #[test]
    fn a_formula_in_a_reason_stays_text() {
        assert_eq!(inert("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(inert("unpaid"), "unpaid");
    }
}
