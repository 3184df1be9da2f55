//! Billing events of the whole cell, whosesoever they are: what an operator replays. Never for a client's eyes.

use tenure_aggregates::TenantId;
use tenure_event_log::Position;

use super::page::{Conditions, place};
use super::{BillingEvent, BillingFilter};
use crate::{QueryError, Views};

/// A part of the log's billing events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingRange {
    /// The first position.
    pub first: Position,
    /// The last position.
    pub last: Position,
    /// Only those of this customer.
    pub tenant: Option<TenantId>,
    /// Only those that occurred then, or are of these types.
    pub filter: BillingFilter,
}

impl BillingRange {
    /// The position before the first.
    pub(crate) fn before(&self) -> Position {
        Position::new(self.first.get().saturating_sub(1))
    }

    /// Up to `limit` of them after a position, in position order.
    pub(crate) async fn page(
        &self,
        views: &Views,
        after: Position,
        limit: u32,
    ) -> Result<Vec<BillingEvent>, QueryError> {
        self.conditions(views, after, self.last).await?.events(views, limit).await
    }

    /// How many of each type there are after a position, up to another one.
    pub(crate) async fn counts(
        &self,
        views: &Views,
        after: Position,
        up_to: Position,
    ) -> Result<Vec<(String, u64)>, QueryError> {
        self.conditions(views, after, up_to.min(self.last)).await?.counts(views).await
    }

    async fn conditions(&self, views: &Views, after: Position, up_to: Position) -> Result<Conditions, QueryError> {
        let mut conditions = Conditions::after(after.max(self.before()));
        conditions.also("position <=", place(up_to));
        if let Some(tenant) = self.tenant {
            conditions.also("tenant_id =", tenant.to_string());
        }
        conditions.of(views, &self.filter).await?;
        Ok(conditions)
    }
}
