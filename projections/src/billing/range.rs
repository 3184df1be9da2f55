//! Billing events of the whole cell, whosesoever they are: what an operator replays. Never for a client's eyes.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use tenure_aggregates::TenantId;
use tenure_event_log::Position;

use super::{BillingEvent, EVENTS};
use crate::batch::Cell;
use crate::cells::{CellsReader, micros};
use crate::rows::Row;
use crate::view::View;
use crate::{QueryError, Views};

/// A part of the log's billing events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingRange {
    /// The first position.
    pub first: Position,
    /// The last position.
    pub last: Position,
    /// Only those that occurred then or later.
    pub from: Option<DateTime<Utc>>,
    /// Only those that occurred before then.
    pub to: Option<DateTime<Utc>>,
    /// Only those of this customer.
    pub tenant: Option<TenantId>,
}

impl BillingRange {
    /// All of them, those that are yet to come included.
    pub const ALL: Self =
        Self { first: Position::new(1), last: Position::new(u64::MAX), from: None, to: None, tenant: None };

    /// The position before the first.
    pub(crate) fn before(&self) -> Position {
        Position::new(self.first.get().saturating_sub(1))
    }

    /// Up to `limit` of those after a position, up to another one, in position order.
    pub(crate) async fn page(
        &self,
        views: &Views,
        after: Position,
        up_to: Position,
        limit: u32,
    ) -> Result<Vec<BillingEvent>, QueryError> {
        let (conditions, mut params) = self.conditions(after, up_to);
        params.push(i64::from(limit).into());
        let (columns, last) = (EVENTS.column_list(), params.len());
        let sql = format!("select {columns} from {{billing_events}} {conditions} order by position limit ${last}");
        let rows = views.query(View::Billing, &sql, params).await?;
        rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
    }

    /// How many of each type there are after a position, up to another one.
    pub(crate) async fn counts(
        &self,
        views: &Views,
        after: Position,
        up_to: Position,
    ) -> Result<Vec<(String, u64)>, QueryError> {
        let (conditions, params) = self.conditions(after, up_to);
        let sql = format!("select event_type, count(*) from {{billing_events}} {conditions} group by event_type");
        let rows = views.query(View::Billing, &sql, params).await?;
        let read = |cells| {
            let mut cells = CellsReader::new(cells);
            Some((cells.text()?, cells.number()?))
        };
        rows.into_iter().map(read).collect::<Option<_>>().ok_or(QueryError::Malformed)
    }

    fn conditions(&self, after: Position, up_to: Position) -> (String, Vec<Cell>) {
        let place = |position: Position| i64::try_from(position.get()).unwrap_or(i64::MAX);
        let mut params: Vec<Cell> = vec![place(after.max(self.before())).into(), place(up_to.min(self.last)).into()];
        let mut sql = "where position > $1 and position <= $2".to_owned();
        let mut also = |condition: &str, value: Option<Cell>| {
            let Some(value) = value else { return };
            params.push(value);
            // Writing to a String can't fail.
            let _ = write!(sql, " and {condition} ${}", params.len());
        };
        also("tenant_id =", self.tenant.map(|tenant| tenant.to_string().into()));
        also("occurred_at >=", self.from.map(|from| micros(from).into()));
        also("occurred_at <", self.to.map(|to| micros(to).into()));
        (sql, params)
    }
}
