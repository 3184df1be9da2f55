//! Sealing personal values before an append and opening them after a read, so that no plain one ever reaches the
//! database.
//!
//! The master key wraps one key per tenant, which wraps one data key per stream, which seals the values. Each value is
//! bound to its stream, its sequence and its field, and each wrapped key to its name: what is moved does not open.
//! Without the tenant's key nothing of the tenant opens any more, while every event stays where it is, unchanged.

mod cipher;
mod keyring;
mod markers;
mod master_key;
mod transcript;
mod validate;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use cqrs_es::persist::SerializedEvent;
use serde_json::Value;
use uuid::Uuid;

use crate::append::{Append, AppendError, StreamAppend, Violation};
use crate::engine::{Engine, EngineError, Prepared, PreparedEvent, PreparedStream};
use crate::error::ReadError;
use crate::event::{Json, MetadataValue, NewEvent, RecordedEvent, StreamId};
use cipher::{DataKey, Place};
use keyring::{Forgets, Held, Keyring, Made, Wanted};
use master_key::Blinder;
use transcript::{Mistake, transcribe};

pub use master_key::{MasterKey, MasterKeyError};

/// The name under which the log itself writes the command's id into the metadata.
const COMMAND_ID: &str = "command_id";

/// Holds the master key and, for a minute, the keys that were used last.
pub(crate) struct Sealer {
    keyring: Keyring,
    blinder: Blinder,
}

impl Sealer {
    pub fn new(master: &MasterKey) -> Self {
        Self { keyring: Keyring::new(master.wrapping_key()), blinder: master.blinder() }
    }

    /// Checks the append's form, finds or makes the data keys that it needs, and seals its personal values.
    ///
    /// Keys made here come with the prepared append and are nobody's until it is committed. If another append made one
    /// of them first, prepare again: the stored one is found then.
    pub async fn prepare(&self, engine: &Engine, append: &Append) -> Result<(Prepared, Made), AppendError> {
        validate::validate(append)?;
        let personal: Vec<Wanted<'_>> =
            append.streams.iter().filter(|stream| has_personal(stream)).map(wanted).collect();
        let mut keys = Vec::new();
        let (held, made) =
            self.keyring.find_or_make(engine, &personal, &mut keys).await.map_err(|error| unavailable(&error))?;
        let mut sealed_tenants: Vec<Uuid> = personal.iter().map(|wanted| wanted.tenant_id).collect();
        sealed_tenants.sort_unstable();
        sealed_tenants.dedup();
        let mut held = personal.iter().zip(held).peekable();
        let streams = append.streams.iter().map(|stream| {
            let key = held.next_if(|(wanted, _)| *wanted.stream == stream.stream).map(|(_, key)| key);
            prepare_stream(append.command_id, stream, key)
        });
        let prepared = Prepared {
            command_id: append.command_id,
            streams: streams.collect::<Result<_, _>>()?,
            unchanged: append.unchanged.clone(),
            claims: append.claims.clone(),
            releases: append.releases.clone(),
            limits: append.limits.clone(),
            keys,
            sealed_tenants,
            erase_tenants: append.erase_tenants.clone(),
            idempotency: append.idempotency.clone(),
        };
        Ok((prepared, made))
    }

    /// To be asked before an append is prepared, and handed over when it is committed.
    pub fn forgets(&self) -> Forgets {
        self.keyring.forgets()
    }

    /// Keeps the keys that an append brought along, once it is committed; unless keys were forgotten since.
    pub fn committed(&self, made: Made, since: Forgets) {
        self.keyring.remember(made, since);
    }

    /// Opens the events of a load.
    pub async fn open_serialized(
        &self,
        engine: &Engine,
        mut events: Vec<SerializedEvent>,
    ) -> Result<Vec<SerializedEvent>, ReadError> {
        let is_sealed = |event: &SerializedEvent| {
            markers::has_sealed(&event.payload) || texts(&event.metadata).any(markers::is_sealed_text)
        };
        let wanted = events.iter().filter(|event| is_sealed(event)).map(|event| (stream_of(event), None)).collect();
        let held = self.keyring.find(engine, wanted).await?;
        for event in &mut events {
            let opener = Opener { stream: stream_of(event), sequence: event.sequence as u64, held: &held };
            opener.payload(&mut event.payload)?;
            if let Value::Object(metadata) = &mut event.metadata {
                for (name, value) in metadata {
                    if let Value::String(text) = value {
                        opener.text(name, text)?;
                    }
                }
            }
        }
        Ok(events)
    }

    /// Opens a page of the feed.
    pub async fn open_recorded(
        &self,
        engine: &Engine,
        mut events: Vec<RecordedEvent>,
    ) -> Result<Vec<RecordedEvent>, ReadError> {
        let mut parsed = events.iter().map(Parsed::of).collect::<Result<Vec<_>, _>>()?;
        let sealed = events.iter().zip(&parsed).filter(|(_, parsed)| parsed.is_sealed());
        let wanted = sealed.map(|(event, _)| (event.stream.clone(), Some(event.tenant_id))).collect();
        let held = self.keyring.find(engine, wanted).await?;
        for (event, parsed) in events.iter_mut().zip(&mut parsed) {
            let opener = Opener { stream: event.stream.clone(), sequence: event.sequence, held: &held };
            opener.payload(&mut parsed.payload)?;
            for (name, text) in &mut parsed.metadata {
                opener.text(name, text)?;
            }
            (event.payload, event.metadata) = parsed.written();
        }
        Ok(events)
    }

    /// A name for a personal value under which it can be found again and from which it can't be learnt.
    pub fn blind(&self, scope: &str, value: &str) -> String {
        self.blinder.blind(scope, value)
    }

    /// Drops what is cached of a tenant's keys.
    pub fn forget(&self, tenant_id: Uuid) {
        self.keyring.forget(tenant_id);
    }
}

fn has_personal(stream: &StreamAppend) -> bool {
    stream.events.iter().any(|event| {
        transcript::may_hold_personal(&event.payload)
            || event.metadata.values().any(|value| matches!(value, MetadataValue::Personal(_)))
    })
}

fn wanted(stream: &StreamAppend) -> Wanted<'_> {
    Wanted { stream: &stream.stream, tenant_id: stream.tenant_id, is_new: stream.expected == 0 }
}

fn prepare_stream(command_id: Uuid, stream: &StreamAppend, held: Option<Held>) -> Result<PreparedStream, AppendError> {
    let key = match held {
        Some(Held::Destroyed) => return Err(Violation::KeyDestroyed { tenant_id: stream.tenant_id }.into()),
        Some(Held::Live(key)) => Some(key),
        None => None,
    };
    let key = key.as_deref();
    let events = (stream.expected + 1..).zip(&stream.events).map(|(sequence, event)| {
        prepare_event(command_id, event, Place { stream: &stream.stream, sequence }, key)
            .map_err(AppendError::Malformed)
    });
    Ok(PreparedStream {
        stream: stream.stream.clone(),
        tenant_id: stream.tenant_id,
        expected: stream.expected,
        events: events.collect::<Result<_, _>>()?,
    })
}

/// `key` is there whenever the event holds something personal.
fn prepare_event(
    command_id: Uuid,
    event: &NewEvent,
    place: Place<'_>,
    key: Option<&DataKey>,
) -> Result<PreparedEvent, Mistake> {
    let payload = match key {
        Some(key) => transcribe(&event.payload, Some(&|path, text| key.seal(place, path, text)))?,
        None => transcribe(&event.payload, None)?,
    };
    let mut metadata: BTreeMap<&str, Cow<'_, str>> = BTreeMap::from([(COMMAND_ID, command_id.to_string().into())]);
    for (name, value) in &event.metadata {
        let text = match (value, key) {
            (MetadataValue::Personal(text), Some(key)) => {
                markers::sealed_text(&key.seal(place, &markers::metadata_path(name), text.as_bytes())).into()
            }
            (MetadataValue::Personal(_), None) => markers::ERASED_TEXT.into(),
            (MetadataValue::Plain(text), _) => markers::plain_text(text),
        };
        metadata.insert(name, text);
    }
    Ok(PreparedEvent {
        event_type: event.event_type.clone(),
        event_version: event.event_version.clone(),
        payload,
        metadata: Json::checked(serde_json::to_string(&metadata).expect("strings can be written as JSON")),
    })
}

fn stream_of(event: &SerializedEvent) -> StreamId {
    StreamId::new(event.aggregate_type.clone(), event.aggregate_id.clone())
}

fn texts(metadata: &Value) -> impl Iterator<Item = &str> {
    metadata.as_object().into_iter().flat_map(serde_json::Map::values).filter_map(Value::as_str)
}

fn unavailable(error: &EngineError) -> AppendError {
    let reason = match error {
        EngineError::Unavailable(source) | EngineError::AnswerLost(source) | EngineError::Refused(source) => {
            format!("{error}: {source}")
        }
        EngineError::ClockSkew { .. } | EngineError::Corrupt(_) => error.to_string(),
    };
    AppendError::Unavailable { reason, unknown: false }
}

/// What a recorded event says.
struct Parsed {
    payload: Value,
    metadata: BTreeMap<String, String>,
}

impl Parsed {
    fn of(event: &RecordedEvent) -> Result<Self, ReadError> {
        let RecordedEvent { stream, sequence, payload, metadata, .. } = event;
        let parsed = || Ok(Self { payload: payload.parse()?, metadata: metadata.parse()? });
        parsed().map_err(|error: serde_json::Error| ReadError::Corrupt {
            stream: stream.clone(),
            sequence: *sequence,
            reason: error.to_string(),
        })
    }

    fn is_sealed(&self) -> bool {
        markers::has_sealed(&self.payload) || self.metadata.values().any(|text| markers::is_sealed_text(text))
    }

    fn written(&self) -> (Json, Json) {
        let metadata = serde_json::to_string(&self.metadata).expect("strings can be written as JSON");
        (Json::checked(self.payload.to_string()), Json::checked(metadata))
    }
}

/// Opens the sealed values of one event.
struct Opener<'a> {
    stream: StreamId,
    sequence: u64,
    held: &'a HashMap<StreamId, Held>,
}

impl Opener<'_> {
    fn payload(&self, payload: &mut Value) -> Result<(), ReadError> {
        markers::open(payload, |path, sealed| match self.key()? {
            None => Ok(None),
            Some(key) => {
                let plain = self.opened(key, path, sealed)?;
                serde_json::from_slice(&plain).map(Some).map_err(|_| self.corrupt(path, "is no JSON"))
            }
        })
    }

    fn text(&self, name: &str, text: &mut String) -> Result<(), ReadError> {
        if let Some(sealed) = markers::unsealed_text(text) {
            let path = markers::metadata_path(name);
            *text = match self.key()? {
                None => markers::ERASED_TEXT.to_owned(),
                Some(key) => String::from_utf8(self.opened(key, &path, sealed)?.to_vec())
                    .map_err(|_| self.corrupt(&path, "is no text"))?,
            };
        } else if let Some(plain) = markers::unescaped_text(text) {
            *text = plain.to_owned();
        }
        Ok(())
    }

    /// `None` if it was destroyed.
    fn key(&self) -> Result<Option<&DataKey>, ReadError> {
        match self.held.get(&self.stream) {
            Some(Held::Live(key)) => Ok(Some(key)),
            Some(Held::Destroyed) => Ok(None),
            None => Err(self.corrupt("", "is sealed, but the stream has no data key")),
        }
    }

    fn opened(&self, key: &DataKey, path: &str, sealed: &str) -> Result<cipher::Plain, ReadError> {
        let place = Place { stream: &self.stream, sequence: self.sequence };
        key.open(place, path, sealed).map_err(|_| self.corrupt(path, "was altered, moved, or sealed with another key"))
    }

    fn corrupt(&self, path: &str, what: &str) -> ReadError {
        let reason = if path.is_empty() { format!("a value {what}") } else { format!("the value at {path} {what}") };
        ReadError::Corrupt { stream: self.stream.clone(), sequence: self.sequence, reason }
    }
}
