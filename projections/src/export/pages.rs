//! Billing events in the order of the log, all MSPs together, as the export reads them.

use tenure_event_log::{Position, ReadError};
use uuid::Uuid;

use crate::batch::Cell;
use crate::billing::{self, BillingEvent};
use crate::rows::Row as _;
use crate::view::View;
use crate::{QueryError, Views};

/// The event that was exported last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub position: Position,
    pub event_id: Uuid,
}

/// What a look at the view found.
#[derive(Debug)]
pub(super) enum Found {
    /// What follows, in order; nothing if there is nothing more up to the position that the view had reached before.
    Events { events: Vec<BillingEvent>, passed: Position },
    /// The event exported last is not where it was.
    Displaced,
}

/// Up to `limit` billing events after a position; after an anchor only if that is still there.
pub(super) async fn after(
    views: &Views,
    position: Position,
    anchor: Option<Anchor>,
    limit: usize,
) -> Result<Found, QueryError> {
    // Before the look: what the view shows may be newer.
    let passed = views.billing_position();
    let columns = billing::EVENTS.column_list();
    let sql = format!("select {columns} from {{billing_events}} where position >= $1 order by position limit $2");
    let from = anchor.map_or(position.next(), |anchor| anchor.position);
    let limit = i64::try_from(limit + usize::from(anchor.is_some())).unwrap_or(i64::MAX);
    let rows = views.query(View::Billing, &sql, vec![cell(from), limit.into()]).await?;
    let mut events: Vec<BillingEvent> =
        rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)?;
    if let Some(anchor) = anchor {
        match events.first() {
            Some(first) if first.position == anchor.position && first.event_id == anchor.event_id => {
                events.remove(0);
            }
            Some(_) | None => return Ok(Found::Displaced),
        }
    }
    Ok(Found::Events { events, passed })
}

/// The billing events behind one position, up to and with another.
pub(super) async fn between(views: &Views, from: Position, to: Position) -> Result<Vec<BillingEvent>, QueryError> {
    let columns = billing::EVENTS.column_list();
    let sql =
        format!("select {columns} from {{billing_events}} where position > $1 and position <= $2 order by position");
    let rows = views.query(View::Billing, &sql, vec![cell(from), cell(to)]).await?;
    rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
}

/// The billing events at these positions, in any order.
pub(super) async fn at(views: &Views, positions: &[u64]) -> Result<Vec<BillingEvent>, QueryError> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (1..=positions.len()).map(|place| format!("${place}")).collect();
    let (columns, places) = (billing::EVENTS.column_list(), places.join(", "));
    let sql = format!("select {columns} from {{billing_events}} where position in ({places})");
    let params = positions.iter().map(|position| cell(Position::new(*position))).collect();
    let rows = views.query(View::Billing, &sql, params).await?;
    rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
}

/// The billing id that the log's event at a position has, whether it is billed or not; `None` if there is none.
pub(super) async fn event_at(views: &Views, position: Position) -> Result<Option<Uuid>, ReadError> {
    let Some(before) = position.get().checked_sub(1) else { return Ok(None) };
    let events = views.log().read(Position::new(before), 1).await?;
    Ok(events.first().map(|event| billing::event_id(&event.stream, event.sequence)))
}

fn cell(position: Position) -> Cell {
    i64::try_from(position.get()).unwrap_or(i64::MAX).into()
}
