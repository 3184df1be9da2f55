//! When a token was last used, to the minute. In a stream of its own, under the token's id: it grows for as long as the
//! token is in use, and nobody who asks for the token has to read it.

use std::convert::Infallible;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::{ClaimChange, Decider, Impossible, LimitChange};

/// A use so soon after the last one that was written down is not.
pub const RECORDED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// What is known of a token's uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages say what each field is")]
pub enum LastUse {
    /// No event yet.
    #[default]
    Never,
    /// The last one that was written down.
    Used { at: DateTime<Utc> },
}

/// What somebody wants. `at` is the present, from the service's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the commands say what each field is for")]
pub enum Command {
    /// Writes a use down, unless one was within the last minute.
    Record { at: DateTime<Utc> },
}

/// What happened; the wire name is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the commands document the fields")]
pub enum Event {
    /// The token was used.
    #[serde(rename = "access_token.used")]
    Used { at: DateTime<Utc> },
}

impl LastUse {
    /// When it was, to the minute.
    #[must_use]
    pub const fn at(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Never => None,
            Self::Used { at } => Some(at),
        }
    }
}

impl Decider for LastUse {
    const TYPE: &'static str = "access_token_use";

    type Command = Command;
    type Event = Event;
    type Error = Infallible;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Infallible> {
        let Command::Record { at } = command;
        Ok(match self {
            Self::Never => vec![Event::Used { at }],
            Self::Used { at: last } if at - *last >= RECORDED_EVERY => vec![Event::Used { at }],
            Self::Used { .. } => Vec::new(),
        })
    }

    fn evolve(self, event: &Event) -> Result<Self, Impossible> {
        match self {
            Self::Never | Self::Used { .. } => match event {
                Event::Used { at } => Ok(Self::Used { at: *at }),
            },
        }
    }

    fn claims(&self, event: &Event) -> Vec<ClaimChange> {
        match event {
            Event::Used { .. } => Vec::new(),
        }
    }

    fn limits(&self, event: &Event) -> Vec<LimitChange> {
        match event {
            Event::Used { .. } => Vec::new(),
        }
    }
}

impl Event {
    /// The event's wire name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Used { .. } => "access_token.used",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Used { at } => *at,
        }
    }
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
