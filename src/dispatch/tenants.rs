//! Commands on a tenant that exists, and the answer to a request that is repeated.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use cqrs_es::persist::SerializedEvent;
use tenure_aggregates::tenant::{Command, Event, Tenant, TenantKind};
use tenure_aggregates::{Folded, Replay, TenantId, decode, fold};
use tenure_event_log::{IdempotencyRecord, Position};

use super::changes::Changes;
use super::{
    CommandContext, CommandError, DECIDE_AGAIN_FOR, Dispatcher, IdempotentRequest, Inner, Outcome, Precondition, Wait,
};

/// Whose tenants a caller may see. Every other tenant is absent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The customers of one MSP.
    CustomersOf(TenantId),
    /// Every tenant: the service itself, for deadlines.
    Cell,
    /// No tenant at all.
    Nothing,
}

impl Scope {
    fn sees(self, tenant: &Tenant) -> bool {
        match (self, tenant.account().map(|account| account.kind)) {
            (Self::Cell, Some(_)) => true,
            (Self::CustomersOf(msp), Some(TenantKind::Customer { msp: owner })) => msp == owner,
            (_, None)
            | (Self::Nothing, Some(_))
            | (Self::CustomersOf(_), Some(TenantKind::Msp | TenantKind::Independent)) => false,
        }
    }
}

impl Dispatcher {
    /// Carries out one command on a tenant. `make` gives the command for the time at which it is decided.
    ///
    /// # Errors
    /// The tenant's refusal, or why nothing could be decided.
    pub async fn on_tenant<F>(
        &self,
        scope: Scope,
        id: TenantId,
        precondition: Precondition,
        context: CommandContext,
        make: F,
    ) -> Result<Outcome, CommandError>
    where
        F: Fn(DateTime<Utc>) -> Command + Send + Sync + 'static,
    {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            let _entry = inner.enter(context.idempotency.as_ref())?;
            let decided = inner.decide_again(scope, id, &precondition, &context, &make).await;
            inner.settled(scope, &context, decided).await
        })
        .await
    }

    /// The tenant as it is now, fresh from the log.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] where the scope doesn't see it.
    pub async fn read_tenant(&self, scope: Scope, id: TenantId) -> Result<Folded<Tenant>, CommandError> {
        let folded = self.inner.load_tenant(id).await?;
        if scope.sees(&folded.state) { Ok(folded) } else { Err(CommandError::NotFound) }
    }
}

/// A command that was decided and, if it changed anything, committed.
pub(super) struct Committed {
    pub(super) tenant_id: TenantId,
    pub(super) tenant: Folded<Tenant>,
    pub(super) position: Option<Position>,
    pub(super) at: DateTime<Utc>,
}

impl Inner {
    pub(super) fn enter(
        &self,
        request: Option<&IdempotentRequest>,
    ) -> Result<Option<super::in_flight::Entry>, CommandError> {
        let Some(request) = request else { return Ok(None) };
        let entry = self.in_flight.enter(&request.key.principal, &request.key.key);
        entry.map(Some).ok_or(CommandError::InFlight)
    }

    /// Decides until nobody was faster. A remembered state may lead to an append; before a refusal or a no-op, what followed
    /// it is read.
    async fn decide_again(
        &self,
        scope: Scope,
        id: TenantId,
        precondition: &Precondition,
        context: &CommandContext,
        make: &(impl Fn(DateTime<Utc>) -> Command + Sync),
    ) -> Result<Committed, CommandError> {
        let began = Instant::now();
        let turn = tokio::time::timeout(DECIDE_AGAIN_FOR, self.stripes.lock(id.as_uuid())).await;
        let _turn = turn.map_err(|_| CommandError::Busy)?;
        let mut known = self.tenants.get(&id);
        let mut is_remembered = known.is_some();
        loop {
            let before = match known.take() {
                Some(folded) if is_remembered => folded,
                Some(folded) => Arc::new(self.follow_tenant(id, &folded).await?),
                None => Arc::new(self.load_tenant(id).await?),
            };
            match self.decide_once(scope, id, &before, precondition, context, make).await {
                Ok(Committed { position: None, .. }) if is_remembered => {}
                Ok(committed) => {
                    self.keep_tenant(id, Arc::new(committed.tenant.clone()));
                    return Ok(committed);
                }
                Err(error) if is_remembered && error.is_judgement() => {}
                Err(CommandError::Busy) if began.elapsed() < DECIDE_AGAIN_FOR => {}
                Err(error) if error.is_judgement() => {
                    self.keep_tenant(id, before);
                    return Err(error);
                }
                Err(error) => {
                    self.tenants.remove(&id);
                    return Err(error);
                }
            }
            (known, is_remembered) = (Some(before), false);
        }
    }

    async fn decide_once(
        &self,
        scope: Scope,
        id: TenantId,
        before: &Folded<Tenant>,
        precondition: &Precondition,
        context: &CommandContext,
        make: &(impl Fn(DateTime<Utc>) -> Command + Sync),
    ) -> Result<Committed, CommandError> {
        if !scope.sees(&before.state) {
            return Err(CommandError::NotFound);
        }
        if !precondition.holds(before.sequence) {
            return Err(CommandError::PreconditionFailed { current: before.sequence });
        }
        let at = self.log.clock().now();
        let decision = before.decide(make(at))?;
        let position = if decision.events.is_empty() {
            None
        } else {
            let mut changes = Changes::new(&self.log, context);
            changes.decided(id.as_uuid(), id, before.sequence, &decision)?;
            if decision.events.iter().any(|event| matches!(event, Event::Deleted { .. })) {
                changes.erase(id);
            }
            let append = changes.answered_by::<Tenant>(id.as_uuid(), decision.after.sequence);
            Some(self.append(append, context).await?.last)
        };
        Ok(Committed { tenant_id: id, tenant: decision.after, position, at })
    }

    /// Turns a decision into the answer: waits for the views, or finds the first answer to a repeated request.
    pub(super) async fn settled(
        &self,
        scope: Scope,
        context: &CommandContext,
        decided: Result<Committed, CommandError>,
    ) -> Result<Outcome, CommandError> {
        let committed = match decided {
            Ok(committed) => committed,
            Err(error) => return self.first_answer(scope, context, error).await,
        };
        let in_views = match committed.position {
            Some(position) => self.settle(position, context.wait).await,
            None => true,
        };
        let remembered_status = match (&context.idempotency, committed.position) {
            (Some(request), Some(_)) => Some(self.remember(request, in_views).await),
            (None, _) | (_, None) => None,
        };
        Ok(Outcome {
            tenant: committed.tenant,
            tenant_id: committed.tenant_id,
            position: committed.position,
            at: committed.at,
            in_views,
            remembered_status,
        })
    }

    /// The status to answer a request with, now that it is known whether the views are late: that which a repeat is going
    /// to get. The append, which wrote the record, could not know.
    async fn remember(&self, request: &IdempotentRequest, in_views: bool) -> u16 {
        let IdempotentRequest { key, status, late_status } = request;
        if in_views || late_status == status {
            return *status;
        }
        match self.log.remember_status(&key.principal, &key.key, *late_status).await {
            Ok(_) => *late_status,
            Err(error) => {
                tracing::warn!(%error, "a late answer keeps the status that its repeats get");
                *status
            }
        }
    }

    async fn first_answer(
        &self,
        scope: Scope,
        context: &CommandContext,
        error: CommandError,
    ) -> Result<Outcome, CommandError> {
        let Some(request) = context.idempotency.as_ref().filter(|_| error.yields_to_repeat()) else {
            return Err(error);
        };
        let record = self.log.idempotency(&request.key.principal, &request.key.key).await?;
        let Some(record) = record else { return Err(error) };
        if record.request_hash != request.key.request_hash {
            return Err(CommandError::KeyReused);
        }
        self.render_again(scope, record, context.wait).await
    }

    /// Folds the stream to where the first answer saw it. Whoever repeats a request, here or on another instance, may rely
    /// on what was done as if it had come first: so gate and views are waited for as well.
    async fn render_again(&self, scope: Scope, record: IdempotencyRecord, wait: Wait) -> Result<Outcome, CommandError> {
        let id = &record.stream.aggregate_id;
        let tenant_id: TenantId = id.parse().map_err(|_| CommandError::Defect(format!("no tenant's stream: {id}")))?;
        let mut events = self.log.load::<Replay<Tenant>>(id).await?;
        events.retain(|event| u64::try_from(event.sequence).is_ok_and(|sequence| sequence <= record.sequence));
        let last = events.last().cloned();
        let tenant = fold::<Tenant>(id, events)?;
        if !scope.sees(&tenant.state) {
            return Err(CommandError::NotFound);
        }
        let at = match last {
            Some(event) => time_of(&event)?,
            None => self.log.clock().now(),
        };
        // The command stands somewhere before the head.
        let head = self.log.head().await?;
        let in_views = self.settle(head, wait).await;
        // Where the views are late the first answer, on another instance, may only just have learned its status.
        let late = if in_views { None } else { self.log.idempotency(&record.principal, &record.key).await? };
        let remembered_status = Some(late.map_or(record.status, |late| late.status));
        Ok(Outcome { tenant, tenant_id, position: Some(head), at, in_views, remembered_status })
    }
}

/// When the event happened: for that time the first answer was rendered.
fn time_of(event: &SerializedEvent) -> Result<DateTime<Utc>, CommandError> {
    let decoded = decode::<Tenant>(&event.event_type, &event.event_version, &event.payload);
    decoded.map(|event| event.at()).map_err(|corruption| CommandError::Defect(corruption.to_string()))
}
