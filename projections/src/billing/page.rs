//! Reading billing events page by page, in position order.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use tenure_aggregates::TenantId;
use tenure_event_log::Position;

use super::{BillingEvent, EVENTS, bounds};
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

/// A list of billing events that is read page by page.
#[derive(Clone, Debug)]
pub struct BillingPages {
    scope: BillingScope,
    filter: BillingFilter,
    after: i64,
    stretch: Stretch,
}

/// Which part of the log is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    /// Nothing was read yet.
    Unknown,
    /// Up to the end of the log.
    Open,
    /// Up to where what occurred before the filter's end was recorded in time.
    InTime { last: i64, msp: TenantId, to: DateTime<Utc> },
    /// Behind that, up to the last of those that were recorded late.
    Late { last: i64 },
}

impl Stretch {
    const fn last(self) -> Option<i64> {
        match self {
            Self::Unknown | Self::Open => None,
            Self::InTime { last, .. } | Self::Late { last } => Some(last),
        }
    }
}

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
    BillingPages::new(scope, filter.clone(), after).next(views, limit).await
}

impl BillingPages {
    /// The events after a position.
    #[must_use]
    pub fn new(scope: BillingScope, filter: BillingFilter, after: Position) -> Self {
        let after = i64::try_from(after.get()).unwrap_or(i64::MAX);
        Self { scope, filter, after, stretch: Stretch::Unknown }
    }

    /// The next `limit` of them, in position order. Fewer than `limit`: there are no more.
    ///
    /// # Errors
    /// [`QueryError`] when the views can't be read.
    pub async fn next(&mut self, views: &Views, limit: u32) -> Result<Vec<BillingEvent>, QueryError> {
        if self.stretch == Stretch::Unknown {
            self.begin(views).await?;
        }
        let mut events = self.read(views, limit).await?;
        let missing = limit - u32::try_from(events.len()).unwrap_or(limit);
        if let Stretch::InTime { last, msp, to } = self.stretch
            && missing > 0
        {
            let late = bounds::last(views, msp, self.filter.from, to).await?;
            self.after = self.after.max(last);
            self.stretch = Stretch::Late { last: late };
            events.extend(self.read(views, missing).await?);
        }
        Ok(events)
    }

    async fn begin(&mut self, views: &Views) -> Result<(), QueryError> {
        if let Some(from) = self.filter.from {
            self.after = self.after.max(bounds::before(views, from).await?);
        }
        self.stretch = match (self.scope, self.filter.to) {
            (BillingScope::Msp(msp), Some(to)) => match bounds::in_time(views, to).await? {
                Some(last) => Stretch::InTime { last, msp, to },
                None => Stretch::Open,
            },
            // One tenant's events are few enough to be read to their end.
            (BillingScope::Customer { .. }, _) | (BillingScope::Msp(_), None) => Stretch::Open,
        };
        Ok(())
    }

    async fn read(&mut self, views: &Views, limit: u32) -> Result<Vec<BillingEvent>, QueryError> {
        let last = self.stretch.last();
        if last.is_some_and(|last| last <= self.after) {
            return Ok(Vec::new());
        }
        let mut params: Vec<Cell> = vec![self.after.into(), i64::from(limit).into()];
        let mut sql = format!("select {} from {{billing_events}} where position > $1", EVENTS.column_list());
        let mut also = |condition: &str, value: Cell| {
            params.push(value);
            let _ = write!(sql, " and {condition} ${}", params.len());
        };
        match self.scope {
            BillingScope::Msp(msp) => also("msp_id =", msp.to_string().into()),
            BillingScope::Customer { msp, tenant } => {
                also("tenant_id =", tenant.to_string().into());
                also("msp_id =", msp.to_string().into());
            }
        }
        if let Some(last) = last {
            also("position <=", last.into());
        }
        if let Some(from) = self.filter.from {
            also("occurred_at >=", micros(from).into());
        }
        if let Some(to) = self.filter.to {
            also("occurred_at <", micros(to).into());
        }
        if !self.filter.types.is_empty() {
            let first = params.len() + 1;
            params.extend(self.filter.types.iter().map(|name| Cell::from(name.as_str())));
            let places: Vec<String> = (first..=params.len()).map(|place| format!("${place}")).collect();
            let _ = write!(sql, " and event_type in ({})", places.join(", "));
        }
        sql += " order by position limit $2";
        let rows = views.query(View::Billing, &sql, params).await?;
        let events: Vec<_> =
            rows.into_iter().map(BillingEvent::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)?;
        if let Some(event) = events.last() {
            self.after = i64::try_from(event.position.get()).unwrap_or(i64::MAX);
        }
        Ok(events)
    }
}
