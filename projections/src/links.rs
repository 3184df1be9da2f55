//! Links between MSPs and accounts: one row for each that holds. What ended one takes its row away.
//!
//! The row says how the link stands, not how the account does: whoever shows a link asks for that as well.

mod list;

use chrono::{DateTime, Utc};
use tenure_aggregates::link::{Event, GroupGrants, Origin, Stage};
use tenure_aggregates::{AggregateKind, LinkId, TenantId};

pub use list::{Grant, Grants, LinkCursor, grants, list};

use crate::batch::{Cells, Table, Write, integer, nullable_integer, text};
use crate::cells::{CellsReader, micros};
use crate::history::{Happened, Obstacle};
use crate::rows::{Row, Rows};
use crate::view::{Fact, Ignored};

const LINKS: Table = Table {
    name: "links",
    columns: &[
        text("link_id"),
        text("msp_id"),
        text("tenant_id"),
        text("stage"),
        text("name"),
        text("domain"),
        text("group_roles"),
        text("dns_challenge"),
        integer("created_at"),
        integer("updated_at"),
        nullable_integer("activated_at"),
        nullable_integer("invited_at"),
    ],
    key: 1,
    indexes: &["msp_id, created_at, link_id"],
    write: Write::Replace,
};

pub(crate) const TABLES: &[Table] = &[LINKS];

/// Events that change nothing here: an account's own life shows elsewhere.
pub(crate) const IGNORED: Ignored = Ignored {
    aggregates: &[
        AggregateKind::Tenant,
        AggregateKind::Administrator,
        AggregateKind::Subscription,
        AggregateKind::AccessToken,
        AggregateKind::LastUse,
    ],
    events: &[],
};

/// A link that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRecord {
    /// The link.
    pub link_id: LinkId,
    /// Whose link.
    pub msp: TenantId,
    /// What is linked.
    pub tenant_id: TenantId,
    /// How.
    pub stage: Stage,
    /// What the MSP calls the account.
    pub name: String,
    /// The account's domain.
    pub domain: String,
    /// Which of the MSP's people are let in.
    pub groups: GroupGrants,
    /// What the domain's owner publishes.
    pub dns_challenge: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Since when the MSP manages the account for good.
    pub activated_at: Option<DateTime<Utc>>,
    /// When the account's owner was asked.
    pub invited_at: Option<DateTime<Utc>>,
}

impl Row for LinkRecord {
    const TABLE: &'static Table = &LINKS;

    fn into_cells(self) -> Cells {
        vec![
            self.link_id.to_string().into(),
            self.msp.to_string().into(),
            self.tenant_id.to_string().into(),
            self.stage.as_str().into(),
            self.name.into(),
            self.domain.into(),
            serde_json::json!(self.groups).to_string().into(),
            self.dns_challenge.into(),
            micros(self.created_at).into(),
            micros(self.updated_at).into(),
            self.activated_at.map(micros).into(),
            self.invited_at.map(micros).into(),
        ]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        Some(Self {
            link_id: cells.parsed()?,
            msp: cells.parsed()?,
            tenant_id: cells.parsed()?,
            stage: stage_named(&cells.text()?)?,
            name: cells.text()?,
            domain: cells.text()?,
            groups: cells.json()?,
            dns_challenge: cells.text()?,
            created_at: cells.time()?,
            updated_at: cells.time()?,
            activated_at: cells.optional_time().ok()?,
            invited_at: cells.optional_time().ok()?,
        })
    }
}

/// The stage with this name.
fn stage_named(name: &str) -> Option<Stage> {
    Stage::ALL.into_iter().find(|stage| stage.as_str() == name)
}

pub(crate) fn reads(fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
    match fact.happened {
        Happened::Link(Event::Created { .. })
        | Happened::Tenant(_)
        | Happened::Administrator(_)
        | Happened::Subscription(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => None,
        Happened::Link(
            Event::Updated { .. }
            | Event::Verified { .. }
            | Event::Invited { .. }
            | Event::Accepted { .. }
            | Event::Declined { .. }
            | Event::Unlinked { .. }
            | Event::Withdrawn { .. }
            | Event::Closed { .. },
        ) => Some((&LINKS, key(fact))),
    }
}

pub(crate) fn apply(fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
    let event = match fact.happened {
        Happened::Link(event) => event,
        // An account's own life shows elsewhere.
        Happened::Tenant(_)
        | Happened::Administrator(_)
        | Happened::Subscription(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => return Ok(()),
    };
    match event {
        Event::Created { link, origin, at } => {
            rows.insert(LinkRecord {
                link_id: link_of(fact)?,
                msp: link.msp,
                tenant_id: link.account,
                stage: match origin {
                    Origin::New => Stage::Pending,
                    Origin::Existing => Stage::Existing,
                },
                name: link.name.to_string(),
                domain: link.domain.to_string(),
                groups: link.groups.clone(),
                dns_challenge: link.dns_challenge.to_string(),
                created_at: *at,
                updated_at: *at,
                activated_at: None,
                invited_at: None,
            });
            Ok(())
        }
        Event::Updated { name, groups, at: _ } => change(fact, rows, |row| {
            if let Some(name) = name {
                row.name = name.to_string();
            }
            if let Some(groups) = groups {
                row.groups = groups.clone();
            }
        }),
        Event::Verified { at } | Event::Accepted { at } => change(fact, rows, |row| {
            (row.stage, row.activated_at) = (Stage::Active, Some(*at));
        }),
        Event::Invited { at } => change(fact, rows, |row| (row.stage, row.invited_at) = (Stage::Invited, Some(*at))),
        Event::Declined { at: _ } => change(fact, rows, |row| (row.stage, row.invited_at) = (Stage::Existing, None)),
        Event::Unlinked { .. } | Event::Withdrawn { .. } | Event::Closed { .. } => {
            rows.delete::<LinkRecord>(key(fact));
            Ok(())
        }
    }
}

fn change(fact: &Fact<'_>, rows: &mut Rows, change: impl FnOnce(&mut LinkRecord)) -> Result<(), Obstacle> {
    let row = rows.get::<LinkRecord>(&key(fact))?;
    let mut row = row.ok_or_else(|| Obstacle::Poison(format!("link {} does not hold", fact.recorded.stream)))?;
    change(&mut row);
    row.updated_at = fact.happened.at();
    rows.put(row);
    Ok(())
}

fn key(fact: &Fact<'_>) -> Cells {
    vec![fact.recorded.stream.aggregate_id.as_str().into()]
}

fn link_of(fact: &Fact<'_>) -> Result<LinkId, Obstacle> {
    fact.recorded.stream.aggregate_id.parse().map_err(|invalid| Obstacle::poison(&invalid))
}
