//! What each tenant held at the end of each month, by the time at which the log took the events.

use tenure_aggregates::values::UsagePeriod;
use tenure_aggregates::{AdministratorId, AggregateKind, TenantId, administrator, tenant};

use crate::batch::{Cells, Table, Write, integer, text};
use crate::cells::CellsReader;
use crate::history::{Happened, Obstacle};
use crate::rows::{Row, Rows};
use crate::tenants::{administrator_of, unknown_tenant};
use crate::view::{Fact, Ignored, View};
use crate::{QueryError, Views};

/// One row for each month in which a tenant's counts changed.
const MONTHS: Table = Table {
    name: "usage_months",
    columns: &[text("tenant_id"), text("period"), integer("users"), integer("resources"), integer("grants")],
    key: 2,
    indexes: &[],
    write: Write::Blind,
};

/// The present counts, from which the next change goes on.
const PRESENT: Table = Table {
    name: "usage_present",
    columns: &[text("tenant_id"), integer("resources"), integer("grants"), text("administrators")],
    key: 1,
    indexes: &[],
    write: Write::Replace,
};

pub(crate) const TABLES: &[Table] = &[MONTHS, PRESENT];

/// Events that change nothing here.
pub(crate) const IGNORED: Ignored = Ignored {
    aggregates: &[AggregateKind::Link, AggregateKind::Subscription, AggregateKind::AccessToken, AggregateKind::LastUse],
    events: &[
        "tenant.updated",
        "tenant.suspended",
        "tenant.reinstated",
        "tenant.deprovisioned",
        "tenant.restored",
        "tenant.usage.monthly",
        "tenant.domain.proven",
        "tenant.joined",
        "tenant.unlinked",
        "administrator.invited",
    ],
};

/// What a tenant holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageCounts {
    /// Accepted administrators.
    pub users: u32,
    /// Resources last reported.
    pub resources: u32,
    /// Grants last reported.
    pub grants: u32,
}

/// The counts as of the last event that the log took before the month's end; `None` if the tenant was not there yet.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn at_month_end(
    views: &Views,
    tenant: TenantId,
    period: UsagePeriod,
) -> Result<Option<UsageCounts>, QueryError> {
    let sql = "select users, resources, grants from {usage_months} where tenant_id = $1 and period <= $2 \
               order by period desc limit 1";
    let rows = views.query(View::Usage, sql, vec![tenant.to_string().into(), period.to_string().into()]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut cells = CellsReader::new(row);
    let mut read = || Some(UsageCounts { users: cells.number()?, resources: cells.number()?, grants: cells.number()? });
    read().map(Some).ok_or(QueryError::Malformed)
}

struct MonthRow {
    tenant_id: TenantId,
    period: UsagePeriod,
    counts: UsageCounts,
}

impl Row for MonthRow {
    const TABLE: &'static Table = &MONTHS;

    fn into_cells(self) -> Cells {
        vec![
            self.tenant_id.to_string().into(),
            self.period.to_string().into(),
            i64::from(self.counts.users).into(),
            i64::from(self.counts.resources).into(),
            i64::from(self.counts.grants).into(),
        ]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        let (tenant_id, period) = (cells.parsed()?, cells.parsed()?);
        let counts = UsageCounts { users: cells.number()?, resources: cells.number()?, grants: cells.number()? };
        Some(Self { tenant_id, period, counts })
    }
}

struct PresentRow {
    tenant_id: TenantId,
    resources: u32,
    grants: u32,
    /// Who accepted: a removal doesn't say whether the removed had.
    administrators: Vec<AdministratorId>,
}

impl PresentRow {
    fn counts(&self) -> UsageCounts {
        let users = u32::try_from(self.administrators.len()).unwrap_or(u32::MAX);
        UsageCounts { users, resources: self.resources, grants: self.grants }
    }
}

impl Row for PresentRow {
    const TABLE: &'static Table = &PRESENT;

    fn into_cells(self) -> Cells {
        vec![
            self.tenant_id.to_string().into(),
            i64::from(self.resources).into(),
            i64::from(self.grants).into(),
            serde_json::json!(self.administrators).to_string().into(),
        ]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        Some(Self {
            tenant_id: cells.parsed()?,
            resources: cells.number()?,
            grants: cells.number()?,
            administrators: cells.json()?,
        })
    }
}

pub(crate) fn reads(fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
    match fact.happened {
        Happened::Tenant(tenant::Event::UsageReported { .. })
        | Happened::Administrator(administrator::Event::Accepted { .. } | administrator::Event::Removed { .. }) => {
            Some((&PRESENT, vec![fact.tenant().to_string().into()]))
        }
        Happened::Tenant(
            tenant::Event::Provisioned { .. }
            | tenant::Event::Updated { .. }
            | tenant::Event::Suspended { .. }
            | tenant::Event::Reinstated { .. }
            | tenant::Event::Deprovisioned { .. }
            | tenant::Event::Restored { .. }
            | tenant::Event::Deleted { .. }
            | tenant::Event::UsageMonthly { .. }
            | tenant::Event::DomainProven { .. }
            | tenant::Event::Joined { .. }
            | tenant::Event::Unlinked { .. },
        )
        | Happened::Administrator(administrator::Event::Invited { .. })
        | Happened::Link(_)
        | Happened::Subscription(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => None,
    }
}

pub(crate) fn apply(fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
    let tenant_id = fact.tenant();
    let period = UsagePeriod::containing(fact.recorded.recorded_at);
    let none = PresentRow { tenant_id, resources: 0, grants: 0, administrators: Vec::new() };
    let present = match fact.happened {
        // Begins with nothing, ends with nothing.
        Happened::Tenant(tenant::Event::Provisioned { .. }) => {
            rows.insert(MonthRow { tenant_id, period, counts: none.counts() });
            rows.insert(none);
            return Ok(());
        }
        Happened::Tenant(tenant::Event::Deleted { .. }) => none,
        Happened::Tenant(tenant::Event::UsageReported { resources, grants, at: _ }) => {
            PresentRow { resources: *resources, grants: *grants, ..present(rows, tenant_id)? }
        }
        Happened::Administrator(administrator::Event::Accepted { .. }) => {
            let mut present = present(rows, tenant_id)?;
            present.administrators.push(administrator_of(fact)?);
            present
        }
        Happened::Administrator(administrator::Event::Removed { at: _ }) => {
            let (mut present, id) = (present(rows, tenant_id)?, administrator_of(fact)?);
            present.administrators.retain(|other| *other != id);
            present
        }
        // Changes no count: an invitation takes no seat, and a bill only repeats what was.
        Happened::Tenant(
            tenant::Event::Updated { .. }
            | tenant::Event::Suspended { .. }
            | tenant::Event::Reinstated { .. }
            | tenant::Event::Deprovisioned { .. }
            | tenant::Event::Restored { .. }
            | tenant::Event::UsageMonthly { .. }
            | tenant::Event::DomainProven { .. }
            | tenant::Event::Joined { .. }
            | tenant::Event::Unlinked { .. },
        )
        | Happened::Administrator(administrator::Event::Invited { .. })
        | Happened::Link(_)
        | Happened::Subscription(_)
        | Happened::AccessToken(_)
        | Happened::AccessTokenUse(_) => return Ok(()),
    };
    rows.put(MonthRow { tenant_id, period, counts: present.counts() });
    rows.put(present);
    Ok(())
}

fn present(rows: &Rows, tenant: TenantId) -> Result<PresentRow, Obstacle> {
    rows.get::<PresentRow>(&[tenant.to_string().into()])?.ok_or_else(|| unknown_tenant(tenant))
}
