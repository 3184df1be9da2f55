//! Gathers what a command decided, on one stream or several, into one append.

use std::collections::BTreeMap;

use cqrs_es::DomainEvent;
use tenure_aggregates::{ClaimChange, ClaimKey, Decider, Decision, Folded, TenantId};
use tenure_event_log::{
    Append, Claim, EventLog, IdempotencyRecord, Json, LimitChange, MetadataValue, NewEvent, StreamAppend, StreamId,
    StreamVersion,
};
use uuid::Uuid;

use super::{CommandContext, CommandError};

/// For how long an `Idempotency-Key` is remembered.
const REMEMBERED_FOR: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// An append in the making.
pub(super) struct Changes<'a> {
    log: &'a EventLog,
    context: &'a CommandContext,
    metadata: BTreeMap<String, MetadataValue>,
    append: Append,
}

impl<'a> Changes<'a> {
    pub(super) fn new(log: &'a EventLog, context: &'a CommandContext) -> Self {
        let append = Append::new(context.command_id, Vec::new());
        Self { log, context, metadata: context.metadata(), append }
    }

    /// Adds what was decided on one aggregate of `tenant`: its events, and the claims and limits that they change.
    pub(super) fn decided<A: Decider>(
        &mut self,
        id: Uuid,
        tenant: TenantId,
        before: u64,
        decision: &Decision<A>,
    ) -> Result<(), CommandError> {
        let mut events = Vec::with_capacity(decision.events.len());
        for event in &decision.events {
            let payload = Json::of(event).map_err(|error| CommandError::Defect(error.to_string()))?;
            events.push(NewEvent {
                event_type: event.event_type().into(),
                event_version: event.event_version().into(),
                payload,
                metadata: self.metadata.clone(),
            });
        }
        let stream = stream_of::<A>(id);
        self.append.streams.push(StreamAppend { stream, tenant_id: tenant.as_uuid(), expected: before, events });
        for change in &decision.claims {
            match change {
                ClaimChange::Take { scope, key } => self.append.claims.push(self.claim(scope, key, id)),
                ClaimChange::Release { scope, key } => self.append.releases.push(self.claim(scope, key, id)),
            }
        }
        self.append.limits.extend(decision.limits.iter().map(|limit| LimitChange {
            scope: limit.scope.to_owned(),
            key: limit.key.clone(),
            delta: limit.delta,
            max: limit.max,
        }));
        Ok(())
    }

    fn claim(&self, scope: &str, key: &ClaimKey, owner: Uuid) -> Claim {
        let key = match key {
            ClaimKey::Plain(key) => key.clone(),
            ClaimKey::Personal(key) => self.log.blind(scope, key),
        };
        Claim { scope: scope.to_owned(), key, owner: owner.to_string() }
    }

    /// The decision rests on this aggregate, which must not have moved.
    pub(super) fn unchanged<A: Decider>(&mut self, id: Uuid, read: &Folded<A>) {
        self.append.unchanged.push(StreamVersion { stream: stream_of::<A>(id), sequence: read.sequence });
    }

    /// The tenant's personal data becomes unreadable with this append.
    pub(super) fn erase(&mut self, tenant: TenantId) {
        self.append.erase_tenants.push(tenant.as_uuid());
    }

    /// The append. A repeat of the request is answered from the state of aggregate `id` after `sequence` events.
    pub(super) fn answered_by<A: Decider>(mut self, id: Uuid, sequence: u64) -> Append {
        self.append.idempotency = self.context.idempotency.as_ref().map(|request| IdempotencyRecord {
            principal: request.key.principal.clone(),
            key: request.key.key.clone(),
            request_hash: request.key.request_hash,
            stream: stream_of::<A>(id),
            sequence,
            status: request.status,
            expires_at: self.log.clock().now() + REMEMBERED_FOR,
        });
        self.append
    }
}

fn stream_of<A: Decider>(id: Uuid) -> StreamId {
    StreamId::new(A::TYPE, id.to_string())
}
