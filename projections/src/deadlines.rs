//! What falls due: deletions when retention is over, usage when a month is over. The scheduler sends a command for each;
//! its event moves or removes the row. Sending it twice, or late, does no harm.

use chrono::{DateTime, Utc};
use tenure_aggregates::values::UsagePeriod;
use tenure_aggregates::{AggregateKind, TenantId, TenantKind, tenant};

use crate::batch::{Cells, Table, Write, integer, nullable_text, text};
use crate::cells::{CellsReader, micros};
use crate::history::{Happened, Obstacle};
use crate::rows::{Row, Rows};
use crate::view::{Fact, Ignored, View};
use crate::{QueryError, Views};

const DEADLINES: Table = Table {
    name: "deadlines",
    columns: &[
        text("kind"),
        text("tenant_id"),
        integer("due_at"),
        nullable_text("period"),
        nullable_text("last_period"),
    ],
    key: 2,
    indexes: &["due_at, kind, tenant_id"],
    write: Write::Replace,
};

pub(crate) const TABLES: &[Table] = &[DEADLINES];

/// Events that change nothing here.
pub(crate) const IGNORED: Ignored = Ignored {
    aggregates: &[
        AggregateKind::Administrator,
        AggregateKind::Link,
        AggregateKind::Subscription,
        AggregateKind::AccessToken,
        AggregateKind::LastUse,
    ],
    events: &[
        "tenant.updated",
        "tenant.suspended",
        "tenant.reinstated",
        "tenant.usage.reported",
        "tenant.domain.proven",
        "tenant.joined",
        "tenant.unlinked",
    ],
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The tenant's retention is over: delete it.
    Deletion,
    /// The month is over: write the tenant's usage.
    MonthlyUsage {
        /// The month; the oldest one that is not written yet.
        period: UsagePeriod,
    },
}

/// Something to be done at a time, or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// What.
    pub due: Due,
    /// For which tenant.
    pub tenant_id: TenantId,
    /// Not before then.
    pub due_at: DateTime<Utc>,
}

/// Up to `limit` deadlines that have passed at `now`, the oldest first.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn due(views: &Views, now: DateTime<Utc>, limit: u32) -> Result<Vec<Deadline>, QueryError> {
    let sql = format!(
        "select {} from {{deadlines}} where due_at <= $1 order by due_at, kind, tenant_id limit $2",
        DEADLINES.column_list()
    );
    let rows = views.query(View::Deadlines, &sql, vec![micros(now).into(), i64::from(limit).into()]).await?;
    rows.into_iter()
        .map(|row| match DeadlineRow::from_cells(row)? {
            DeadlineRow::Deletion { tenant_id, due_at } => Some(Deadline { due: Due::Deletion, tenant_id, due_at }),
            DeadlineRow::MonthEnd { tenant_id, period, last: _ } => {
                Some(Deadline { due: Due::MonthlyUsage { period }, tenant_id, due_at: period.ends_at() })
            }
        })
        .collect::<Option<_>>()
        .ok_or(QueryError::Malformed)
}

enum DeadlineRow {
    Deletion {
        tenant_id: TenantId,
        due_at: DateTime<Utc>,
    },
    /// `last`: the month of the tenant's deletion, which is the last one to write.
    MonthEnd {
        tenant_id: TenantId,
        period: UsagePeriod,
        last: Option<UsagePeriod>,
    },
}

const DELETION: &str = "deletion";
const MONTH_END: &str = "month-end";

impl Row for DeadlineRow {
    const TABLE: &'static Table = &DEADLINES;

    fn into_cells(self) -> Cells {
        let none = || None::<String>.into();
        match self {
            Self::Deletion { tenant_id, due_at } => {
                vec![DELETION.into(), tenant_id.to_string().into(), micros(due_at).into(), none(), none()]
            }
            Self::MonthEnd { tenant_id, period, last } => vec![
                MONTH_END.into(),
                tenant_id.to_string().into(),
                micros(period.ends_at()).into(),
                period.to_string().into(),
                last.map(|last| last.to_string()).into(),
            ],
        }
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        let (kind, tenant_id, due_at) = (cells.text()?, cells.parsed()?, cells.time()?);
        match (kind.as_str(), cells.optional_text().ok()?, cells.optional_text().ok()?) {
            (DELETION, None, None) => Some(Self::Deletion { tenant_id, due_at }),
            (MONTH_END, Some(period), last) => {
                let last = match last {
                    Some(last) => Some(last.parse().ok()?),
                    None => None,
                };
                Some(Self::MonthEnd { tenant_id, period: period.parse().ok()?, last })
            }
            _ => None,
        }
    }
}

fn key(kind: &str, tenant: TenantId) -> Cells {
    vec![kind.into(), tenant.to_string().into()]
}

pub(crate) fn reads(fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
    match fact.happened {
        Happened::Tenant(tenant::Event::UsageMonthly { .. } | tenant::Event::Deleted { .. }) => {
            Some((&DEADLINES, key(MONTH_END, fact.tenant())))
        }
        Happened::Tenant(
            tenant::Event::Provisioned { .. }
            | tenant::Event::Updated { .. }
            | tenant::Event::Suspended { .. }
            | tenant::Event::Reinstated { .. }
            | tenant::Event::Deprovisioned { .. }
            | tenant::Event::Restored { .. }
            | tenant::Event::UsageReported { .. }
            | tenant::Event::DomainProven { .. }
            | tenant::Event::Joined { .. }
            | tenant::Event::Unlinked { .. },
        )
        | Happened::Administrator(_)
        | Happened::Link(_)
        | Happened::Subscription(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => None,
    }
}

pub(crate) fn apply(fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
    let tenant_id = fact.tenant();
    match fact.happened {
        Happened::Tenant(tenant::Event::Provisioned { account, at }) => match account.kind {
            // An MSP has no bill.
            TenantKind::Msp => {}
            // Months are written without an MSP, too: each follows the one before it, should there be one again.
            TenantKind::Customer { msp: _ } | TenantKind::Independent => {
                rows.insert(DeadlineRow::MonthEnd { tenant_id, period: UsagePeriod::containing(*at), last: None });
            }
        },
        Happened::Tenant(tenant::Event::Deprovisioned { delete_after, .. }) => {
            rows.put(DeadlineRow::Deletion { tenant_id, due_at: *delete_after });
        }
        Happened::Tenant(tenant::Event::Restored { .. }) => rows.delete::<DeadlineRow>(key(DELETION, tenant_id)),
        Happened::Tenant(tenant::Event::Deleted { released_short_code: _, at }) => {
            rows.delete::<DeadlineRow>(key(DELETION, tenant_id));
            let last = UsagePeriod::containing(*at);
            if let Some(period) = month_to_write(rows, tenant_id)?.map(|(period, _)| period) {
                write_months(rows, tenant_id, period, Some(last));
            }
        }
        Happened::Tenant(tenant::Event::UsageMonthly { usage, at: _ }) => {
            if let Some((_, last)) = month_to_write(rows, tenant_id)? {
                write_months(rows, tenant_id, usage.period.next(), last);
            }
        }
        // Neither begins nor ends anything that falls due: months are written for suspended tenants too.
        Happened::Tenant(
            tenant::Event::Updated { .. }
            | tenant::Event::Suspended { .. }
            | tenant::Event::Reinstated { .. }
            | tenant::Event::UsageReported { .. }
            | tenant::Event::DomainProven { .. }
            | tenant::Event::Joined { .. }
            | tenant::Event::Unlinked { .. },
        )
        | Happened::Administrator(_)
        | Happened::Link(_)
        | Happened::Subscription(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => {}
    }
    Ok(())
}

/// The month to write next and the last one; `None` for an MSP, and after the last one.
fn month_to_write(rows: &Rows, tenant: TenantId) -> Result<Option<(UsagePeriod, Option<UsagePeriod>)>, Obstacle> {
    Ok(rows.get::<DeadlineRow>(&key(MONTH_END, tenant))?.and_then(|row| match row {
        DeadlineRow::MonthEnd { period, last, .. } => Some((period, last)),
        DeadlineRow::Deletion { .. } => None,
    }))
}

fn write_months(rows: &mut Rows, tenant_id: TenantId, period: UsagePeriod, last: Option<UsagePeriod>) {
    if last.is_some_and(|last| period > last) {
        rows.delete::<DeadlineRow>(key(MONTH_END, tenant_id));
    } else {
        rows.put(DeadlineRow::MonthEnd { tenant_id, period, last });
    }
}
