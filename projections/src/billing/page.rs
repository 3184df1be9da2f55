//! Reading billing events page by page, in position order.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::TenantId;
use tenure_event_log::Position;

use super::{BillingEvent, EVENTS};
use crate::batch::Cell;
use crate::cells::micros;
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
    let mut params: Vec<Cell> = vec![i64::try_from(after.get()).unwrap_or(i64::MAX).into(), i64::from(limit).into()];
    let mut sql = format!("select {} from {{billing_events}} where position > $1", EVENTS.column_list());
    let mut also = |condition: &str, value: Cell| {
        params.push(value);
        let _ = write!(sql, " and {condition} ${}", params.len());
    };
    match scope {
        BillingScope::Msp(msp) => also("msp_id =", msp.to_string().into()),
        BillingScope::Customer { msp, tenant } => {
            also("tenant_id =", tenant.to_string().into());
            also("msp_id =", msp.to_string().into());
        }
    }
    if let Some(from) = filter.from {
        also("occurred_at >=", micros(from).into());
        // Nothing occurs after it was recorded, and what was recorded before stands before: so the index can begin
        // close to the first event wanted. (Late is allowed: a month's usage is recorded when the month is over.)
        if let Some(before) = recorded_before(views, from - CLOCK_TOLERANCE).await? {
            also("position >", before.into());
        }
    }
    if let Some(to) = filter.to {
        also("occurred_at <", micros(to).into());
    }
    if !filter.types.is_empty() {
        let first = params.len() + 1;
        params.extend(filter.types.iter().map(|name| Cell::from(name.as_str())));
        let places: Vec<String> = (first..=params.len()).map(|place| format!("${place}")).collect();
        let _ = write!(sql, " and event_type in ({})", places.join(", "));
    }
    sql += " order by position limit $2";
    let rows = views.query(View::Billing, &sql, params).await?;
    rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
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
