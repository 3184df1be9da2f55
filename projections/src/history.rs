//! Recorded events as the views read them: typed, and told apart from those that only a newer release knows.

use chrono::{DateTime, Utc};
use tenure_aggregates::access_token::{self, LastUse, last_use};
use tenure_aggregates::{
    AccessToken, Administrator, AggregateKind, Decider, Link, Subscription, Tenant, administrator, decode_text, link,
    subscription, tenant,
};
use tenure_event_log::RecordedEvent;

/// What happened, in the words of the aggregate that it happened to.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Tenant(tenant::Event),
    Administrator(administrator::Event),
    Link(link::Event),
    Subscription(subscription::Event),
    AccessToken(access_token::Event),
    AccessTokenUse(last_use::Event),
}

impl Happened {
    /// When it happened, as whoever decided it says.
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Tenant(event) => event.at(),
            Self::Administrator(event) => event.at(),
            Self::Link(event) => event.at(),
            Self::Subscription(event) => event.at(),
            Self::AccessToken(event) => event.at(),
            Self::AccessTokenUse(event) => event.at(),
        }
    }
}

/// Why an event can't be applied now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Obstacle {
    /// This release doesn't know the event, or this version of it.
    #[error("unknown event type, a newer instance must apply it")]
    Unknown,
    /// The event can't be what was written, or can't follow what came before it.
    #[error("{0}")]
    Poison(String),
}

impl Obstacle {
    pub fn poison(error: &dyn std::error::Error) -> Self {
        Self::Poison(chain(error))
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The tenant's events, and the newest version of each that this release reads.
const TENANT_EVENTS: &[(&str, u32)] = &[
    ("tenant.provisioned", 1),
    ("tenant.updated", 1),
    ("tenant.suspended", 1),
    ("tenant.reinstated", 1),
    ("tenant.deprovisioned", 1),
    ("tenant.restored", 1),
    ("tenant.deleted", 1),
    ("tenant.usage.reported", 1),
    ("tenant.usage.monthly", 1),
    ("tenant.domain.proven", 1),
    ("tenant.joined", 1),
    ("tenant.unlinked", 1),
];

/// The same for administrators.
const ADMINISTRATOR_EVENTS: &[(&str, u32)] =
    &[("administrator.invited", 1), ("administrator.accepted", 1), ("administrator.removed", 1)];

/// The same for links.
const LINK_EVENTS: &[(&str, u32)] = &[
    ("link.created", 1),
    ("link.updated", 1),
    ("link.verified", 1),
    ("link.invited", 1),
    ("link.accepted", 1),
    ("link.declined", 1),
    ("link.unlinked", 1),
    ("link.withdrawn", 1),
    ("link.closed", 1),
];

/// The same for subscriptions.
const SUBSCRIPTION_EVENTS: &[(&str, u32)] = &[("tenant.subscription.changed", 1), ("tenant.subscription.cancelled", 1)];
/// The same for access tokens, and for their uses.
const ACCESS_TOKEN_EVENTS: &[(&str, u32)] = &[("access_token.created", 1), ("access_token.revoked", 1)];
const ACCESS_TOKEN_USE_EVENTS: &[(&str, u32)] = &[("access_token.used", 1)];

/// Reads an event, whatever shape it had when it was written.
pub(crate) fn read(event: &RecordedEvent) -> Result<Happened, Obstacle> {
    let Some(kind) = AggregateKind::named(&event.stream.aggregate_type) else { return Err(Obstacle::Unknown) };
    match kind {
        AggregateKind::Tenant => typed::<Tenant>(event, TENANT_EVENTS).map(Happened::Tenant),
        AggregateKind::Administrator => {
            typed::<Administrator>(event, ADMINISTRATOR_EVENTS).map(Happened::Administrator)
        }
        AggregateKind::Link => typed::<Link>(event, LINK_EVENTS).map(Happened::Link),
        AggregateKind::Subscription => typed::<Subscription>(event, SUBSCRIPTION_EVENTS).map(Happened::Subscription),
        AggregateKind::AccessToken => typed::<AccessToken>(event, ACCESS_TOKEN_EVENTS).map(Happened::AccessToken),
        AggregateKind::LastUse => typed::<LastUse>(event, ACCESS_TOKEN_USE_EVENTS).map(Happened::AccessTokenUse),
    }
}

fn typed<A: Decider>(event: &RecordedEvent, known: &[(&str, u32)]) -> Result<A::Event, Obstacle> {
    let Some((_, newest)) = known.iter().find(|(name, _)| *name == event.event_type) else {
        return Err(Obstacle::Unknown);
    };
    if event.event_version.parse::<u32>().is_ok_and(|version| version > *newest) {
        return Err(Obstacle::Unknown);
    }
    decode_text::<A>(&event.event_type, &event.event_version, event.payload.text())
        .map_err(|corruption| Obstacle::poison(&corruption))
}
