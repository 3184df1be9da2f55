//! The tenant directory: one row per tenant, without any personal value, and exact counts per MSP and status.
//!
//! MSPs and independent tenants have rows too (the gate asks for their stage), but are nobody's customers: no list and no
//! count holds them.

mod cursor;
mod list;
mod record;
mod stages;

use chrono::{DateTime, Utc};
use tenure_aggregates::tenant::{Changes, NewAccount, Stage};
use tenure_aggregates::{
    AdministratorId, AggregateKind, TenantId, TenantKind, access_token, administrator, subscription, tenant,
};

pub use cursor::{Cursor, CursorError};
pub use list::{ListFilter, Page, TenantCounts, TenantPage, counts, find, list, totals};
pub use record::TenantRecord;
pub use stages::{TenantStage, TenantStages, stages};

use crate::batch::{Cell, Cells, Table, Write, integer, text};
use crate::history::{Happened, Obstacle};
use crate::rows::Rows;
use crate::view::{Fact, Ignored};
use record::{DirectoryRow, TENANTS};

/// How many customers of an MSP are in a status.
const COUNTS: Table = Table {
    name: "tenant_counts",
    columns: &[text("msp_id"), text("status"), integer("tenants")],
    key: 2,
    indexes: &[],
    write: Write::Add,
};

pub(crate) const TABLES: &[Table] = &[TENANTS, COUNTS];

/// Events that change nothing here. All others do, since each is an activity; but a link's are its MSP's.
pub(crate) const IGNORED: Ignored = Ignored { aggregates: &[AggregateKind::Link], events: &[] };

/// Every event but the first reads its tenant's row.
pub(crate) fn reads(fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
    match fact.happened {
        Happened::Tenant(tenant::Event::Provisioned { .. }) | Happened::Link(_) => None,
        Happened::Tenant(
            tenant::Event::Updated { .. }
            | tenant::Event::Suspended { .. }
            | tenant::Event::Reinstated { .. }
            | tenant::Event::Deprovisioned { .. }
            | tenant::Event::Restored { .. }
            | tenant::Event::Deleted { .. }
            | tenant::Event::UsageReported { .. }
            | tenant::Event::UsageMonthly { .. }
            | tenant::Event::DomainProven { .. }
            | tenant::Event::Joined { .. }
            | tenant::Event::Unlinked { .. },
        )
        | Happened::Subscription(subscription::Event::Changed { .. } | subscription::Event::Cancelled { .. })
        | Happened::Administrator(
            administrator::Event::Invited { .. }
            | administrator::Event::Accepted { .. }
            | administrator::Event::Removed { .. },
        )
        | Happened::AccessToken(access_token::Event::Created { .. } | access_token::Event::Revoked { .. })
        | Happened::AccessTokenUse(access_token::last_use::Event::Used { .. }) => {
            Some((&TENANTS, vec![fact.tenant().to_string().into()]))
        }
    }
}

pub(crate) fn apply(fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
    match fact.happened {
        Happened::Tenant(tenant::Event::Provisioned { account, at }) => {
            let record = provisioned(fact, account, *at);
            count(rows, record.kind, record.status, 1);
            rows.insert(DirectoryRow { record, administrators: Vec::new() });
            Ok(())
        }
        Happened::Tenant(event) => change(fact, rows, |row, rows| {
            row.record.sequence = follow(row.record.sequence, fact.recorded.sequence)?;
            tenant_changed(event, row, rows);
            Ok(())
        }),
        Happened::Administrator(event) => change(fact, rows, |row, _| administrator_changed(event, fact, row)),
        // An activity, and nothing else that shows here.
        Happened::Subscription(subscription::Event::Changed { .. } | subscription::Event::Cancelled { .. }) => {
            change(fact, rows, |_, _| Ok(()))
        }
        Happened::Link(_) => Ok(()),
        // An activity, and nothing else that is shown here.
        Happened::AccessToken(access_token::Event::Created { .. } | access_token::Event::Revoked { .. })
        | Happened::AccessTokenUse(access_token::last_use::Event::Used { .. }) => change(fact, rows, |_, _| Ok(())),
    }
}

fn provisioned(fact: &Fact<'_>, account: &NewAccount, at: DateTime<Utc>) -> TenantRecord {
    let NewAccount { tenant_id, kind, short_code, display_name, contact_email: _, max_users, max_resources, modules } =
        account;
    TenantRecord {
        tenant_id: *tenant_id,
        kind: *kind,
        short_code: short_code.to_string(),
        display_name: display_name.to_string(),
        status: Stage::Active,
        created_at: at,
        max_users: max_users.get(),
        max_resources: max_resources.get(),
        current_users: 0,
        current_resources: 0,
        modules: modules.iter().map(ToString::to_string).collect(),
        suspended_at: None,
        suspend_reason: None,
        retention_ends_at: None,
        deleted_at: None,
        last_activity_at: at,
        sequence: fact.recorded.sequence,
        owner: None,
        former_owner: None,
    }
}

fn change(
    fact: &Fact<'_>,
    rows: &mut Rows,
    change: impl FnOnce(&mut DirectoryRow, &mut Rows) -> Result<(), Obstacle>,
) -> Result<(), Obstacle> {
    let row = rows.get::<DirectoryRow>(&[fact.tenant().to_string().into()])?;
    let mut row = row.ok_or_else(|| unknown_tenant(fact.tenant()))?;
    change(&mut row, rows)?;
    // A command's answer shows the time of its event, so the directory shows the same.
    row.record.last_activity_at = row.record.last_activity_at.max(fact.happened.at());
    rows.put(row);
    Ok(())
}

/// What stands in an error when an event's tenant was never provisioned.
pub(crate) fn unknown_tenant(tenant: TenantId) -> Obstacle {
    Obstacle::Poison(format!("tenant {tenant} was never provisioned"))
}

fn follow(last: u64, next: u64) -> Result<u64, Obstacle> {
    if next == last + 1 {
        return Ok(next);
    }
    Err(Obstacle::Poison(format!("sequence {next} follows {last}")))
}

fn tenant_changed(event: &tenant::Event, row: &mut DirectoryRow, rows: &mut Rows) {
    match event {
        tenant::Event::Updated { changes, at: _ } => update(&mut row.record, changes),
        tenant::Event::Suspended { reason, at } => {
            let reason = reason.as_ref().map(ToString::to_string);
            enter(row, rows, Stage::Suspended);
            suspend(&mut row.record, *at, reason);
        }
        tenant::Event::Reinstated { at: _ } => enter(row, rows, Stage::Active),
        tenant::Event::Deprovisioned { reason: _, retention_ends_at, delete_after: _, at: _ } => {
            enter(row, rows, Stage::Deprovisioning);
            row.record.retention_ends_at = Some(*retention_ends_at);
        }
        tenant::Event::Restored { reason, at } => {
            enter(row, rows, Stage::Suspended);
            suspend(&mut row.record, *at, Some(reason.to_string()));
        }
        tenant::Event::Deleted { released_short_code: _, at } => {
            enter(row, rows, Stage::Deleted);
            row.administrators.clear();
            let record = &mut row.record;
            record.deleted_at = Some(*at);
            record.modules.clear();
            (record.current_users, record.current_resources) = (0, 0);
        }
        tenant::Event::UsageReported { resources, grants: _, at: _ } => row.record.current_resources = *resources,
        tenant::Event::Joined { msp, former_owner, contact_email: _, at: _ } => {
            belong(row, rows, TenantKind::Customer { msp: *msp });
            (row.record.owner, row.record.former_owner) = (None, Some(former_owner.to_string()));
        }
        tenant::Event::Unlinked { owner_id, msp: _, owner: _, at: _ } => {
            belong(row, rows, TenantKind::Independent);
            (row.record.owner, row.record.former_owner) = (Some(owner_id.to_string()), None);
        }
        // `apply` makes the row of a tenant provisioned; the others change nothing here but the last activity.
        tenant::Event::Provisioned { .. } | tenant::Event::UsageMonthly { .. } | tenant::Event::DomainProven { .. } => {
        }
    }
}

fn administrator_changed(
    event: &administrator::Event,
    fact: &Fact<'_>,
    row: &mut DirectoryRow,
) -> Result<(), Obstacle> {
    let id = administrator_of(fact)?;
    match event {
        // Asked, but not here yet.
        administrator::Event::Invited { .. } => {}
        administrator::Event::Accepted { .. } => match row.record.status {
            // Nobody is in a deleted tenant.
            Stage::Deleted => {}
            Stage::Unprovisioned | Stage::Active | Stage::Suspended | Stage::Deprovisioning => {
                row.administrators.push(id);
            }
        },
        administrator::Event::Removed { .. } => row.administrators.retain(|other| *other != id),
    }
    row.record.current_users = u32::try_from(row.administrators.len()).unwrap_or(u32::MAX);
    Ok(())
}

/// The administrator whose stream the event belongs to.
pub(crate) fn administrator_of(fact: &Fact<'_>) -> Result<AdministratorId, Obstacle> {
    fact.recorded.stream.aggregate_id.parse().map_err(|invalid| Obstacle::poison(&invalid))
}

fn update(record: &mut TenantRecord, changes: &Changes) {
    let Changes { display_name, contact_email: _, max_users, max_resources, modules } = changes;
    if let Some(display_name) = display_name {
        record.display_name = display_name.to_string();
    }
    if let Some(max_users) = max_users {
        record.max_users = max_users.get();
    }
    if let Some(max_resources) = max_resources {
        record.max_resources = max_resources.get();
    }
    if let Some(modules) = modules {
        record.modules = modules.iter().map(ToString::to_string).collect();
    }
}

/// Moves the tenant to another status, and the counts with it.
fn enter(row: &mut DirectoryRow, rows: &mut Rows, status: Stage) {
    let record = &mut row.record;
    count(rows, record.kind, record.status, -1);
    count(rows, record.kind, status, 1);
    record.status = status;
    (record.suspended_at, record.suspend_reason, record.retention_ends_at) = (None, None, None);
}

/// Moves the tenant to another place in the tree, and the counts with it.
fn belong(row: &mut DirectoryRow, rows: &mut Rows, kind: TenantKind) {
    count(rows, row.record.kind, row.record.status, -1);
    count(rows, kind, row.record.status, 1);
    row.record.kind = kind;
}

fn suspend(record: &mut TenantRecord, at: DateTime<Utc>, reason: Option<String>) {
    record.suspended_at = Some(at);
    record.suspend_reason = reason;
}

fn count(rows: &mut Rows, kind: TenantKind, status: Stage, change: i64) {
    match kind {
        TenantKind::Msp | TenantKind::Independent => {}
        TenantKind::Customer { msp } => {
            rows.add(&COUNTS, vec![Cell::Text(msp.to_string()), status.as_str().into()], &[change]);
        }
    }
}
