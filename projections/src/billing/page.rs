//! Reading billing events page by page, in position order.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::TenantId;
use tenure_event_log::Position;

use super::{BillingEvent, EVENTS};
use crate::batch::Cell;
use crate::cells::{CellsReader, micros};
use crate::rows::Row;
use crate::view::View;
use crate::{QueryError, Views};

/// Whose billing events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillingScope {
    /// Those of all customers of an MSP.
    Msp(TenantId),
    /// Those of one customer of an MSP; none if it is another's.
    Customer {
        /// The MSP that asks.
        msp: TenantId,
        /// Its customer.
        tenant: TenantId,
    },
}

/// Which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BillingFilter {
    /// Occurred then or later.
    pub from: Option<DateTime<Utc>>,
    /// Occurred before then.
    pub to: Option<DateTime<Utc>>,
    /// Of one of these types; empty means of any. See [`super::BillingType::name`].
    pub types: Vec<String>,
}

/// An event may have occurred a little later by its own clock than the log's head said when it was recorded.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Up to `limit` billing events after a position, in position order. Fewer than `limit`: there are no more.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn page(
    views: &Views,
    scope: BillingScope,
    filter: &BillingFilter,
    after: Position,
    limit: u32,
) -> Result<Vec<BillingEvent>, QueryError> {
    let mut conditions = Conditions::after(after);
    match scope {
        BillingScope::Msp(msp) => conditions.also("msp_id =", msp.to_string()),
        BillingScope::Customer { msp, tenant } => {
            conditions.also("tenant_id =", tenant.to_string());
            conditions.also("msp_id =", msp.to_string());
        }
    }
    conditions.of(views, filter).await?;
    conditions.events(views, limit).await
}

/// What the rows wanted have in common.
pub(super) struct Conditions {
    sql: String,
    params: Vec<Cell>,
}

impl Conditions {
    pub fn after(position: Position) -> Self {
        let mut conditions = Self { sql: String::new(), params: Vec::new() };
        conditions.also("position >", place(position));
        conditions
    }

    /// The condition ends where its value follows.
    pub fn also(&mut self, condition: &str, value: impl Into<Cell>) {
        self.params.push(value.into());
        let word = if self.params.len() == 1 { "where" } else { "and" };
        // Writing to a String can't fail.
        let _ = write!(self.sql, " {word} {condition} ${}", self.params.len());
    }

    pub async fn of(&mut self, views: &Views, filter: &BillingFilter) -> Result<(), QueryError> {
        if let Some(from) = filter.from {
            self.also("occurred_at >=", micros(from));
            // Nothing occurs after it was recorded, and what was recorded before stands before: so the index can begin
            // close to the first event wanted. (Late is allowed: a month's usage is recorded when the month is over.)
            if let Some(before) = recorded_before(views, from - CLOCK_TOLERANCE).await? {
                self.also("position >", before);
            }
        }
        if let Some(to) = filter.to {
            self.also("occurred_at <", micros(to));
        }
        if !filter.types.is_empty() {
            let first = self.params.len() + 1;
            self.params.extend(filter.types.iter().map(|name| Cell::from(name.as_str())));
            let places: Vec<String> = (first..=self.params.len()).map(|place| format!("${place}")).collect();
            let _ = write!(self.sql, " and event_type in ({})", places.join(", "));
        }
        Ok(())
    }

    /// Up to so many events, in position order.
    pub async fn events(mut self, views: &Views, limit: u32) -> Result<Vec<BillingEvent>, QueryError> {
        self.params.push(i64::from(limit).into());
        let (columns, last) = (EVENTS.column_list(), self.params.len());
        let sql = format!("select {columns} from {{billing_events}}{} order by position limit ${last}", self.sql);
        let rows = views.query(View::Billing, &sql, self.params).await?;
        rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
    }

    /// How many events there are of each type.
    pub async fn counts(self, views: &Views) -> Result<Vec<(String, u64)>, QueryError> {
        let sql = format!("select event_type, count(*) from {{billing_events}}{} group by event_type", self.sql);
        let rows = views.query(View::Billing, &sql, self.params).await?;
        let read = |cells| {
            let mut cells = CellsReader::new(cells);
            Some((cells.text()?, cells.number()?))
        };
        rows.into_iter().map(read).collect::<Option<_>>().ok_or(QueryError::Malformed)
    }
}

/// A position as it stands in a cell.
pub(super) fn place(position: Position) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}

/// The position of the last billing event recorded before a moment.
async fn recorded_before(views: &Views, moment: DateTime<Utc>) -> Result<Option<i64>, QueryError> {
    let sql = "select position from {billing_events} where recorded_at < $1 \
               order by recorded_at desc, position desc limit 1";
    let rows = views.query(View::Billing, sql, vec![micros(moment).into()]).await?;
    match rows.first().map(Vec::as_slice) {
        None => Ok(None),
        Some([Cell::Integer(position)]) => Ok(Some(*position)),
        Some(_) => Err(QueryError::Malformed),
    }
}
