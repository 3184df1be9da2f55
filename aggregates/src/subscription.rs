//! What a tenant pays for: one price at a time, as long as its MSP manages it.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::values::PriceId;
use crate::{ClaimChange, Decider, Impossible, LimitChange, link};

/// A tenant's subscription; the tenant's id names the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the stages say what each field is")]
pub enum Subscription {
    /// No event yet.
    #[default]
    None,
    /// The tenant pays this price.
    Subscribed { price: PriceId, since: DateTime<Utc> },
    /// It pays nothing any more. It may subscribe again.
    Cancelled { cancelled_at: DateTime<Utc> },
}

/// What somebody wants of a subscription. `at` is the present, from the service's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the commands say what each field is for")]
pub enum Command {
    /// Subscribes, or changes the price; for the same price nothing happens. `link`: how the MSP that pays is linked.
    Change { price: PriceId, link: link::Stage, at: DateTime<Utc> },
    /// Ends the subscription, if there is one.
    Cancel { at: DateTime<Utc> },
}

/// What happened to a subscription. `at` is when; the wire names are the business's and frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the commands document the fields")]
pub enum Event {
    /// The tenant pays this price from now on.
    #[serde(rename = "tenant.subscription.changed")]
    Changed { price: PriceId, at: DateTime<Utc> },
    /// The tenant pays nothing from now on.
    #[serde(rename = "tenant.subscription.cancelled")]
    Cancelled { at: DateTime<Utc> },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name each field")]
pub enum Error {
    /// Nobody would pay.
    #[error("the tenant is {link}; it can subscribe once it is active")]
    NotActive { link: link::Stage },
}

impl Subscription {
    /// The stage's name.
    #[must_use]
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Subscribed { .. } => "subscribed",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

impl Decider for Subscription {
    const TYPE: &'static str = "subscription";

    type Command = Command;
    type Event = Event;
    type Error = Error;

    fn decide(&self, command: Command) -> Result<Vec<Event>, Error> {
        match self {
            Self::None | Self::Cancelled { .. } => match command {
                Command::Change { price, link, at } => change(price, link, at),
                Command::Cancel { .. } => Ok(Vec::new()),
            },
            Self::Subscribed { price: present, .. } => match command {
                Command::Change { price, link, at } => {
                    let events = change(price, link, at)?;
                    let is_new = |event: &Event| match event {
                        Event::Changed { price, .. } => price != present,
                        Event::Cancelled { .. } => true,
                    };
                    Ok(events.into_iter().filter(is_new).collect())
                }
                Command::Cancel { at } => Ok(vec![Event::Cancelled { at }]),
            },
        }
    }

    fn evolve(self, event: &Event) -> Result<Self, Impossible> {
        let impossible = Impossible { aggregate: Self::TYPE, stage: self.stage(), event: event.name() };
        match self {
            Self::None | Self::Cancelled { .. } => match event {
                Event::Changed { price, at } => Ok(Self::Subscribed { price: price.clone(), since: *at }),
                Event::Cancelled { .. } => Err(impossible),
            },
            Self::Subscribed { .. } => match event {
                Event::Changed { price, at } => Ok(Self::Subscribed { price: price.clone(), since: *at }),
                Event::Cancelled { at } => Ok(Self::Cancelled { cancelled_at: *at }),
            },
        }
    }

    fn claims(&self, event: &Event) -> Vec<ClaimChange> {
        match event {
            Event::Changed { .. } | Event::Cancelled { .. } => Vec::new(),
        }
    }

    fn limits(&self, event: &Event) -> Vec<LimitChange> {
        match event {
            Event::Changed { .. } | Event::Cancelled { .. } => Vec::new(),
        }
    }
}

fn change(price: PriceId, link: link::Stage, at: DateTime<Utc>) -> Result<Vec<Event>, Error> {
    match link {
        link::Stage::Active => Ok(vec![Event::Changed { price, at }]),
        link::Stage::Absent
        | link::Stage::Pending
        | link::Stage::Existing
        | link::Stage::Invited
        | link::Stage::Ended => Err(Error::NotActive { link }),
    }
}

impl Event {
    /// The event's wire name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "tenant.subscription.changed",
            Self::Cancelled { .. } => "tenant.subscription.cancelled",
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Changed { at, .. } | Self::Cancelled { at } => *at,
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
