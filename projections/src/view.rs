//! The views there are, and what the projector asks of each.

use tenure_aggregates::{AggregateKind, TenantId, tenant};
use tenure_event_log::RecordedEvent;

use crate::batch::{Cells, Table};
use crate::history::{Happened, Obstacle};
use crate::rows::Rows;
use crate::{access_tokens, billing, deadlines, links, tenants, usage};

/// An event on its way into a view.
pub(crate) struct Fact<'a> {
    pub recorded: &'a RecordedEvent,
    pub happened: &'a Happened,
}

impl Fact<'_> {
    /// Whether it is the first that ever happened in its tenant.
    pub fn is_birth(&self) -> bool {
        matches!(self.happened, Happened::Tenant(tenant::Event::Provisioned { .. })) && self.recorded.sequence == 1
    }

    /// The tenant that it happened in.
    pub fn tenant(&self) -> TenantId {
        TenantId::from_uuid(self.recorded.tenant_id)
    }
}

/// Events that change nothing in a view. They are named once more where it applies what it can read.
pub(crate) struct Ignored {
    /// All of these aggregates.
    pub aggregates: &'static [AggregateKind],
    /// These types of other aggregates' events.
    pub events: &'static [&'static str],
}

impl Ignored {
    fn has(&self, event: &RecordedEvent) -> bool {
        let kind = AggregateKind::named(&event.stream.aggregate_type);
        self.events.contains(&event.event_type.as_ref()) || kind.is_some_and(|kind| self.aggregates.contains(&kind))
    }
}

/// A view of the log, with tables and a checkpoint of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum View {
    /// The tenant directory.
    Tenants,
    /// Billing events.
    Billing,
    /// What falls due and when.
    Deadlines,
    /// Usage at the end of each month.
    Usage,
    /// Links between MSPs and accounts.
    Links,
    /// Personal access tokens.
    AccessTokens,
}

/// Which version of each view this process has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Versions {
    /// Added to this release's own, to stand for a later one.
    pub ahead: u32,
}

impl Versions {
    /// That of one view.
    pub const fn of(self, view: View) -> u32 {
        view.version() + self.ahead
    }

    /// Those of all, with the views' names.
    pub fn all(self) -> Vec<(&'static str, u32)> {
        View::ALL.iter().map(|view| (view.name(), self.of(*view))).collect()
    }
}

impl View {
    pub const ALL: [Self; 6] =
        [Self::Tenants, Self::Billing, Self::Deadlines, Self::Usage, Self::Links, Self::AccessTokens];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Billing => "billing",
            Self::Deadlines => "deadlines",
            Self::Usage => "usage",
            Self::Links => "links",
            Self::AccessTokens => "access_tokens",
        }
    }

    /// Its place in arrays over all views.
    pub const fn index(self) -> usize {
        match self {
            Self::Tenants => 0,
            Self::Billing => 1,
            Self::Deadlines => 2,
            Self::Usage => 3,
            Self::Links => 4,
            Self::AccessTokens => 5,
        }
    }

    /// The version of the view's shape and meaning. A release that changes either raises it, and builds its own
    /// generation at its first start while the older release goes on with the one it knows. Asked through [`Versions`].
    const fn version(self) -> u32 {
        match self {
            Self::Deadlines | Self::Usage | Self::Links | Self::AccessTokens => 1,
            Self::Tenants | Self::Billing => 2,
        }
    }

    pub const fn tables(self) -> &'static [Table] {
        match self {
            Self::Tenants => tenants::TABLES,
            Self::Billing => billing::TABLES,
            Self::Deadlines => deadlines::TABLES,
            Self::Usage => usage::TABLES,
            Self::Links => links::TABLES,
            Self::AccessTokens => access_tokens::TABLES,
        }
    }

    /// True for an event that the view has no use for, so that even an unreadable one can't stop it.
    pub fn ignores(self, event: &RecordedEvent) -> bool {
        match self {
            Self::Tenants => tenants::IGNORED,
            Self::Billing => billing::IGNORED,
            Self::Deadlines => deadlines::IGNORED,
            Self::Usage => usage::IGNORED,
            Self::Links => links::IGNORED,
            Self::AccessTokens => access_tokens::IGNORED,
        }
        .has(event)
    }

    /// The row that applying the event reads, if any.
    pub fn reads(self, fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
        match self {
            Self::Tenants => tenants::reads(fact),
            Self::Billing => billing::reads(fact),
            Self::Deadlines => deadlines::reads(fact),
            Self::Usage => usage::reads(fact),
            Self::Links => links::reads(fact),
            Self::AccessTokens => access_tokens::reads(fact),
        }
    }

    /// Applies one event to the batch's rows.
    pub fn apply(self, fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
        match self {
            Self::Tenants => tenants::apply(fact, rows),
            Self::Billing => billing::apply(fact, rows),
            Self::Deadlines => deadlines::apply(fact, rows),
            Self::Usage => usage::apply(fact, rows),
            Self::Links => links::apply(fact, rows),
            Self::AccessTokens => access_tokens::apply(fact, rows),
        }
    }
}
