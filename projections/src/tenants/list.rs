//! What an MSP asks of its customers' directory.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use tenure_aggregates::TenantId;
use tenure_aggregates::tenant::Stage;

use super::record::{DirectoryRow, TENANTS, stage_named};
use super::{Cursor, TenantRecord};
use crate::batch::Cell;
use crate::cells::{CellsReader, micros};
use crate::rows::Row;
use crate::view::View;
use crate::{QueryError, Views};

/// Which customers a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only those in this status; `None` shows all, deleted ones too.
    pub status: Option<Stage>,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The page with this number, counted from 1. Costs as many rows as stand before it.
    Number {
        /// From 1.
        page: u32,
        /// Rows per page.
        size: u32,
    },
    /// What follows a cursor. Costs the same anywhere in the list.
    After {
        /// Where the page before ended.
        cursor: Cursor,
        /// Rows per page.
        size: u32,
    },
}

/// A part of a list, newest customers first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantPage {
    /// The customers.
    pub tenants: Vec<TenantRecord>,
    /// How many customers pass the filter, on all pages.
    pub total: u64,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// The numbers in a tenant's detail that only views know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantCounts {
    /// Accepted administrators.
    pub current_users: u32,
    /// Resources last reported.
    pub current_resources: u32,
    /// When the last event in the tenant happened.
    pub last_activity_at: DateTime<Utc>,
}

/// Lists an MSP's customers by creation, newest first.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn list(views: &Views, msp: TenantId, filter: &ListFilter, page: Page) -> Result<TenantPage, QueryError> {
    let (mut sql, mut params) = (String::new(), vec![Cell::Text(msp.to_string())]);
    if let Some(status) = filter.status {
        params.push(status.as_str().into());
        let _ = write!(sql, " and status = ${}", params.len());
    }
    let (size, skip) = match page {
        Page::Number { page, size } => (size, i64::from(page.saturating_sub(1)) * i64::from(size)),
        Page::After { cursor, size } => {
            params.push(micros(cursor.created_at).into());
            params.push(cursor.tenant_id.to_string().into());
            let _ = write!(sql, " and (created_at, tenant_id) < (${}, ${})", params.len() - 1, params.len());
            (size, 0)
        }
    };
    // One row more than the page holds tells whether another page follows.
    params.push((i64::from(size) + 1).into());
    params.push(skip.into());
    let sql = format!(
        "select {} from {{tenants}} where msp_id = $1{sql} order by created_at desc, tenant_id desc \
         limit ${} offset ${}",
        TENANTS.column_list(),
        params.len() - 1,
        params.len()
    );
    let mut tenants = records(views.query(View::Tenants, &sql, params).await?)?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let goes_on = tenants.len() > size;
    tenants.truncate(size);
    let next = tenants
        .last()
        .filter(|_| goes_on)
        .map(|last| Cursor { created_at: last.created_at, tenant_id: last.tenant_id });
    let total = totals(views, msp)
        .await?
        .into_iter()
        .filter(|(status, _)| filter.status.is_none_or(|wanted| wanted == *status))
        .map(|(_, count)| count)
        .sum();
    Ok(TenantPage { tenants, total, next })
}

/// How many customers an MSP has in each status; a status without any may be left out.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn totals(views: &Views, msp: TenantId) -> Result<Vec<(Stage, u64)>, QueryError> {
    let sql = "select status, tenants from {tenant_counts} where msp_id = $1 order by status";
    let rows = views.query(View::Tenants, sql, vec![msp.to_string().into()]).await?;
    rows.into_iter()
        .map(|row| {
            let mut cells = CellsReader::new(row);
            Some((stage_named(&cells.text()?)?, cells.number()?))
        })
        .collect::<Option<_>>()
        .ok_or(QueryError::Malformed)
}

/// One customer of an MSP, deleted or not.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn find(views: &Views, msp: TenantId, tenant: TenantId) -> Result<Option<TenantRecord>, QueryError> {
    let sql = format!("select {} from {{tenants}} where msp_id = $1 and tenant_id = $2", TENANTS.column_list());
    let rows = views.query(View::Tenants, &sql, vec![msp.to_string().into(), tenant.to_string().into()]).await?;
    Ok(records(rows)?.pop())
}

/// The counts of one tenant, MSP or customer.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn counts(views: &Views, tenant: TenantId) -> Result<Option<TenantCounts>, QueryError> {
    let sql = "select current_users, current_resources, last_activity_at from {tenants} where tenant_id = $1";
    let rows = views.query(View::Tenants, sql, vec![tenant.to_string().into()]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut cells = CellsReader::new(row);
    let mut read = || {
        Some(TenantCounts {
            current_users: cells.number()?,
            current_resources: cells.number()?,
            last_activity_at: cells.time()?,
        })
    };
    read().map(Some).ok_or(QueryError::Malformed)
}

fn records(rows: Vec<Vec<Cell>>) -> Result<Vec<TenantRecord>, QueryError> {
    rows.into_iter()
        .map(|row| DirectoryRow::from_cells(row).map(|row| row.record))
        .collect::<Option<_>>()
        .ok_or(QueryError::Malformed)
}
