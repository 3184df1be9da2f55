//! What events mean to the gate: nothing but each tenant's place in the tree and its stage.

use std::collections::HashMap;

use tenure_aggregates::tenant::{Event, Stage, Tenant};
use tenure_aggregates::{Decider, TenantId, decode, fold::Corruption};
use tenure_event_log::{Position, RecordedEvent};

use super::Standing;

/// An event about a tenant that this release can't read. A newer one may have written it: what it means for access is not
/// guessed.
#[derive(Debug, thiserror::Error)]
#[error("event {event_type} at position {position} can't be read")]
pub struct Unreadable {
    position: Position,
    event_type: String,
    #[source]
    cause: Corruption,
}

/// What an event did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Applied {
    /// The tenant's keys were destroyed.
    pub deleted: bool,
}

/// Every tenant there ever was.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    known: HashMap<TenantId, Standing>,
}

impl Tenants {
    pub fn new(tenants: Vec<(TenantId, Standing)>) -> Self {
        Self { known: tenants.into_iter().collect() }
    }

    pub fn get(&self, tenant: TenantId) -> Option<Standing> {
        self.known.get(&tenant).copied()
    }

    /// Takes over what an event says. Streams of other aggregates say nothing to the gate.
    pub fn apply(&mut self, event: RecordedEvent) -> Result<Applied, Unreadable> {
        if event.stream.aggregate_type != Tenant::TYPE {
            return Ok(Applied::default());
        }
        let tenant = TenantId::from_uuid(event.tenant_id);
        let decoded = decode::<Tenant>(&event.event_type, &event.event_version, event.payload)
            .map_err(|cause| Unreadable { position: event.position, event_type: event.event_type.clone(), cause })?;
        let stage = match decoded {
            Event::Provisioned { account, .. } => {
                self.known.insert(tenant, Standing { kind: account.kind, stage: Stage::Active });
                return Ok(Applied::default());
            }
            Event::Suspended { .. } | Event::Restored { .. } => Stage::Suspended,
            Event::Reinstated { .. } => Stage::Active,
            Event::Deprovisioned { .. } => Stage::Deprovisioning,
            Event::Deleted { .. } => Stage::Deleted,
            Event::Updated { .. } | Event::UsageReported { .. } | Event::UsageMonthly { .. } => {
                return Ok(Applied::default());
            }
        };
        if let Some(standing) = self.known.get_mut(&tenant) {
            standing.stage = stage;
        }
        Ok(Applied { deleted: stage == Stage::Deleted })
    }
}
