//! The aggregates as cqrs-es knows them.
//!
//! cqrs-es' `apply` can't fail: an event that can't follow would have to be skipped, which hides corrupt history, or to
//! panic. [`Replay`] keeps the failure as a state of its own, in which every command is refused.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Decider, Impossible, Refusal};

/// A [`Decider`] behind cqrs-es' [`Aggregate`]. The service itself uses [`crate::fold()`], which also names the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay<D> {
    /// Every event so far could follow.
    Sound(D),
    /// One could not. Later events change nothing.
    Corrupt(Impossible),
}

impl<D: Default> Default for Replay<D> {
    fn default() -> Self {
        Self::Sound(D::default())
    }
}

impl<D: Decider> Aggregate for Replay<D> {
    const TYPE: &'static str = D::TYPE;
    type Command = D::Command;
    type Event = D::Event;
    type Error = Refusal<D::Error>;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        let events = match self {
            Self::Sound(state) => state.decide(command).map_err(Refusal::Rule)?,
            Self::Corrupt(impossible) => return Err(Refusal::Impossible(*impossible)),
        };
        for event in events {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        *self = match std::mem::take(self) {
            Self::Sound(state) => state.evolve(&event).map_or_else(Self::Corrupt, Self::Sound),
            corrupt @ Self::Corrupt(_) => corrupt,
        };
    }
}

const NO_SNAPSHOTS: &str = "aggregates are rebuilt from their events; a snapshot would hold personal values unsealed";

impl<D> Serialize for Replay<D> {
    /// # Errors
    /// Always: cqrs-es asks for this for snapshots, which Tenure doesn't keep.
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(NO_SNAPSHOTS))
    }
}

impl<'de, D> Deserialize<'de> for Replay<D> {
    /// # Errors
    /// Always, as above.
    fn deserialize<De: Deserializer<'de>>(_: De) -> Result<Self, De::Error> {
        Err(De::Error::custom(NO_SNAPSHOTS))
    }
}
