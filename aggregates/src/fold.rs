//! From stored history to a state that can decide.

use std::borrow::Cow;

use cqrs_es::DomainEvent;
use cqrs_es::persist::SerializedEvent;
use serde::Deserialize;
use serde_json::Value;

use crate::{ClaimChange, Decider, Impossible, LimitChange, Refusal};

/// Reads one old shape of an event as the next one. Stored events never change, so each shape ever written stays
/// readable: the chain of upcasters leads from any of them to the present.
pub struct Upcaster {
    /// The event's wire name.
    pub event_type: &'static str,
    /// The version that it reads.
    pub from: &'static str,
    /// The version that it gives.
    pub to: &'static str,
    /// Changes the payload's shape.
    pub reshape: fn(Value) -> Value,
}

/// A state, and the sequence of the last event in it (0: no event yet).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded<A> {
    /// The state.
    pub state: A,
    /// How many events led to it; the next append expects the stream to be there.
    pub sequence: u64,
}

/// Everything that one command changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<A: Decider> {
    /// To append; empty if the command changes nothing.
    pub events: Vec<A::Event>,
    /// Names that the events take or give back.
    pub claims: Vec<ClaimChange>,
    /// Counted limits that the events change.
    pub limits: Vec<LimitChange>,
    /// The state after the events, from which the answer is rendered.
    pub after: Folded<A>,
}

impl<A: Decider> Folded<A> {
    /// Decides a command and gathers what it changes, in the stream and beside it.
    ///
    /// # Errors
    /// [`Refusal::Rule`] when a rule refuses the command.
    pub fn decide(&self, command: A::Command) -> Result<Decision<A>, Refusal<A::Error>> {
        let events = self.state.decide(command).map_err(Refusal::Rule)?;
        let (mut claims, mut limits, mut after) = (Vec::new(), Vec::new(), self.clone());
        for event in &events {
            claims.extend(after.state.claims(event));
            limits.extend(after.state.limits(event));
            after = Self { state: after.state.evolve(event)?, sequence: after.sequence + 1 };
        }
        Ok(Decision { events, claims, limits, after })
    }
}

/// A stream that can't be folded. Nothing may be decided on it until an operator has looked.
#[derive(Debug, thiserror::Error)]
#[error("stream {stream} is corrupt at sequence {sequence}")]
pub struct CorruptHistory {
    /// The stream, as `type/id`.
    pub stream: String,
    /// The event that could not be folded.
    pub sequence: u64,
    /// What is wrong with it.
    #[source]
    pub cause: Corruption,
}

/// What is wrong with a stored event.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// An event is missing or stands out of order.
    #[error("expected sequence {expected}")]
    Gap {
        /// The sequence that should have stood here.
        expected: u64,
    },
    /// The event belongs to another stream.
    #[error("the event belongs to stream {found}")]
    ForeignStream {
        /// The stream that the event names.
        found: String,
    },
    /// The payload has no shape that this release knows.
    #[error("the payload can't be read")]
    Unreadable(#[source] serde_json::Error),
    /// The payload holds another event, or another version of it, than its columns say.
    #[error("recorded as {event_type} version {event_version}, which the payload is not")]
    Mislabelled {
        /// The recorded type.
        event_type: String,
        /// The recorded version, after upcasting.
        event_version: String,
    },
    /// The event can't follow the state before it.
    #[error(transparent)]
    Impossible(#[from] Impossible),
}

/// Folds a whole stream, opened or sealed, from its first event.
///
/// # Errors
/// The first event that can't be read or can't follow.
pub fn fold<A: Decider>(aggregate_id: &str, events: Vec<SerializedEvent>) -> Result<Folded<A>, CorruptHistory> {
    fold_on(Folded::default(), aggregate_id, events)
}

/// Folds what followed a state that was folded before.
///
/// # Errors
/// The first event that can't be read or can't follow.
pub fn fold_on<A: Decider>(
    mut folded: Folded<A>,
    aggregate_id: &str,
    events: Vec<SerializedEvent>,
) -> Result<Folded<A>, CorruptHistory> {
    for stored in events {
        let sequence = folded.sequence + 1;
        let corrupt = |cause| CorruptHistory { stream: format!("{}/{aggregate_id}", A::TYPE), sequence, cause };
        check_place::<A>(aggregate_id, sequence, &stored).map_err(corrupt)?;
        let event = decode::<A>(&stored.event_type, &stored.event_version, &stored.payload).map_err(corrupt)?;
        let state = folded.state.evolve(&event).map_err(|impossible| corrupt(impossible.into()))?;
        folded = Folded { state, sequence };
    }
    Ok(folded)
}

fn check_place<A: Decider>(aggregate_id: &str, expected: u64, stored: &SerializedEvent) -> Result<(), Corruption> {
    if stored.aggregate_type != A::TYPE || stored.aggregate_id != aggregate_id {
        let found = format!("{}/{}", stored.aggregate_type, stored.aggregate_id);
        return Err(Corruption::ForeignStream { found });
    }
    if u64::try_from(stored.sequence) != Ok(expected) {
        return Err(Corruption::Gap { expected });
    }
    Ok(())
}

/// Reads one stored event, whatever shape it had when it was written. For views, which see events one by one.
///
/// # Errors
/// [`Corruption::Unreadable`] or [`Corruption::Mislabelled`]; also what a newer release wrote.
pub fn decode<A: Decider>(event_type: &str, event_version: &str, payload: &Value) -> Result<A::Event, Corruption> {
    let (mut version, mut payload) = (event_version, Cow::Borrowed(payload));
    for upcaster in A::UPCASTERS {
        if upcaster.event_type == event_type && upcaster.from == version {
            payload = Cow::Owned((upcaster.reshape)(payload.into_owned()));
            version = upcaster.to;
        }
    }
    let event = A::Event::deserialize(payload.as_ref()).map_err(Corruption::Unreadable)?;
    labelled::<A>(event, event_type, version)
}

/// The same from the payload's text. Only an old shape is looked at before it becomes an event.
///
/// # Errors
/// As [`decode`].
pub fn decode_text<A: Decider>(event_type: &str, event_version: &str, payload: &str) -> Result<A::Event, Corruption> {
    let is_old = |upcaster: &Upcaster| upcaster.event_type == event_type && upcaster.from == event_version;
    if A::UPCASTERS.iter().any(is_old) {
        let payload = serde_json::from_str(payload).map_err(Corruption::Unreadable)?;
        return decode::<A>(event_type, event_version, &payload);
    }
    let event = serde_json::from_str(payload).map_err(Corruption::Unreadable)?;
    labelled::<A>(event, event_type, event_version)
}

/// The event, if it is what its columns say.
fn labelled<A: Decider>(event: A::Event, event_type: &str, version: &str) -> Result<A::Event, Corruption> {
    if event.event_type() != event_type || event.event_version() != version {
        return Err(Corruption::Mislabelled { event_type: event_type.to_owned(), event_version: version.to_owned() });
    }
    Ok(event)
}
