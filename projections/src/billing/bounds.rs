//! Between which positions an MSP's billing events of a time lie, so that nobody reads the whole log for one month.
//!
//! Nothing occurs after it was recorded (but for clocks that differ a little), and positions rise with the time of recording:
//! so what occurred in a time begins close behind what was recorded before it. It need not end with what was recorded in
//! it, since a month's usage is recorded when the month is over, or much later after a downtime.

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::TenantId;

use crate::batch::Cell;
use crate::cells::micros;
use crate::view::View;
use crate::{QueryError, Views};

/// An event may have occurred a little later by its own clock than the log's head said when it was recorded.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Positions that are looked through rather than halved once more.
const CLOSE_ENOUGH: i64 = 64;

/// A position up to which nothing occurred at the moment or later.
pub(super) async fn before(views: &Views, moment: DateTime<Utc>) -> Result<i64, QueryError> {
    Ok(around(views, moment - CLOCK_TOLERANCE).await?.low)
}

/// A position after which everything that occurred before the moment was recorded late; `None` if nothing was yet.
pub(super) async fn in_time(views: &Views, moment: DateTime<Utc>) -> Result<Option<i64>, QueryError> {
    let Around { high, end, .. } = around(views, moment + CLOCK_TOLERANCE).await?;
    Ok((high < end).then_some(high))
}

/// The last position of an MSP's events that occurred in a time, however late they were recorded; 0 if there are none.
pub(super) async fn last(
    views: &Views,
    msp: TenantId,
    from: Option<DateTime<Utc>>,
    to: DateTime<Utc>,
) -> Result<i64, QueryError> {
    // The sum keeps the planner from walking back from the log's end instead of through the time asked for.
    let sql = "select coalesce(max(position + 0), 0) from {billing_events} \
               where msp_id = $1 and occurred_at >= $2 and occurred_at < $3";
    let from = from.map_or(i64::MIN, micros);
    match views.query(View::Billing, sql, vec![msp.to_string().into(), from.into(), micros(to).into()]).await?[..] {
        [ref row] => match row[..] {
            [Cell::Integer(position)] => Ok(position),
            _ => Err(QueryError::Malformed),
        },
        _ => Err(QueryError::Malformed),
    }
}

/// Two positions close together, and the last one of all.
struct Around {
    /// Everything up to here was recorded before the moment.
    low: i64,
    /// Nothing after this was.
    high: i64,
    end: i64,
}

/// Found by halving, since the time of recording never falls along positions: that needs no index of its own.
async fn around(views: &Views, moment: DateTime<Utc>) -> Result<Around, QueryError> {
    const IS_BEFORE: &str = "coalesce((select e.recorded_at from {billing_events} e \
                             where e.position <= (search.low + search.high) / 2 order by e.position desc limit 1) < $1, \
                             true)";
    let sql = format!(
        "with recursive search (low, high, last) as (\
           select cast(0 as bigint), coalesce(max(position), 0), coalesce(max(position), 0) from {{billing_events}} \
           union all \
           select case when {IS_BEFORE} then (search.low + search.high) / 2 else search.low end, \
                  case when {IS_BEFORE} then search.high else (search.low + search.high) / 2 end, search.last \
           from search where search.high - search.low > {CLOSE_ENOUGH}) \
         select low, high, last from search order by high - low limit 1"
    );
    match views.query(View::Billing, &sql, vec![micros(moment).into()]).await?[..] {
        [ref row] => match row[..] {
            [Cell::Integer(low), Cell::Integer(high), Cell::Integer(end)] => Ok(Around { low, high, end }),
            _ => Err(QueryError::Malformed),
        },
        _ => Err(QueryError::Malformed),
    }
}
