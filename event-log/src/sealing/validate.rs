//! What an append's texts must look like, whichever engine takes it: a mistake here is the caller's. Payloads are looked at
//! when they are transcribed; that nothing is named twice or too long is for the writer to see.

use super::COMMAND_ID;
use crate::append::{Append, AppendError, Claim};
use crate::event::{MetadataValue, NewEvent, StreamId};

/// Both engines count in signed 64 bits; half of them leaves room to count on.
const MAX_SEQUENCE: u64 = i64::MAX as u64 / 2;

pub(super) fn validate(append: &Append) -> Result<(), AppendError> {
    require(!append.streams.is_empty(), "it extends no stream")?;
    for stream in &append.streams {
        require(!stream.events.is_empty(), "a stream gets no event")?;
        require(stream.expected <= MAX_SEQUENCE, "a sequence is out of range")?;
        stream_id(&stream.stream)?;
        stream.events.iter().try_for_each(event)?;
    }
    append.unchanged.iter().try_for_each(|guard| stream_id(&guard.stream))?;
    append.claims.iter().chain(&append.releases).try_for_each(claim)?;
    append.limits.iter().try_for_each(|limit| text(&limit.scope).and_then(|()| text(&limit.key)))?;
    append.idempotency.iter().try_for_each(|record| {
        text(&record.principal)?;
        text(&record.key)?;
        stream_id(&record.stream)
    })
}

fn event(event: &NewEvent) -> Result<(), AppendError> {
    text(&event.event_type)?;
    text(&event.event_version)?;
    for (name, value) in &event.metadata {
        require(name != COMMAND_ID, "only the log writes command_id into the metadata")?;
        text(name)?;
        match value {
            MetadataValue::Plain(value) | MetadataValue::Personal(value) => text(value)?,
        }
    }
    Ok(())
}

fn stream_id(stream: &StreamId) -> Result<(), AppendError> {
    text(&stream.aggregate_type)?;
    text(&stream.aggregate_id)
}

fn claim(claim: &Claim) -> Result<(), AppendError> {
    text(&claim.scope)?;
    text(&claim.key)?;
    text(&claim.owner)
}

fn text(text: &str) -> Result<(), AppendError> {
    require(!text.contains('\0'), "a text holds U+0000")
}

fn require(holds: bool, otherwise: &'static str) -> Result<(), AppendError> {
    if holds { Ok(()) } else { Err(AppendError::Malformed(otherwise)) }
}
