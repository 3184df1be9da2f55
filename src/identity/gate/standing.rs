//! What events mean to the gate: each tenant's place in the tree and its stage, and whom its links let in.

use std::collections::{HashMap, HashSet};

use tenure_aggregates::tenant::{Event, Stage, Tenant};
use tenure_aggregates::{Decider, Link, TenantId, TenantKind, decode_text, fold::Corruption};
use tenure_event_log::{Position, RecordedEvent};

use super::Standing;
use super::links::Links;

/// An event about a tenant or a token that this release can't read. A newer one may have written it: what it means for
/// access is not guessed, and nobody else is affected.
#[derive(Debug, thiserror::Error)]
#[error("event {event_type} at position {position} can't be read")]
pub struct Unreadable {
    position: Position,
    event_type: String,
    #[source]
    cause: Corruption,
}

impl Unreadable {
    pub(super) fn new(event: &RecordedEvent, cause: Corruption) -> Self {
        Self { position: event.position, event_type: event.event_type.clone().into_owned(), cause }
    }
}

/// What an event did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The tenant's keys were destroyed.
    pub deleted: bool,
    /// Nobody knows: the tenant is undecidable from here on.
    pub unreadable: Option<Unreadable>,
}

/// What an MSP's coming or going says of one person in a tenant, named by a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// The tenant is this person's since its MSP let it go.
    Owner(String),
    /// This person agreed that an MSP manages the tenant, and is an administrator like others.
    Former(String),
}

/// Every tenant there ever was.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    known: HashMap<TenantId, Standing>,
    /// Tenants that something happened to which this release can't read.
    undecidable: HashSet<TenantId>,
    owners: HashMap<TenantId, Ownership>,
    pub links: Links,
}

impl Tenants {
    pub fn new(tenants: Vec<(TenantId, Standing)>, owners: Vec<(TenantId, Ownership)>, links: Links) -> Self {
        let (known, owners) = (tenants.into_iter().collect(), owners.into_iter().collect());
        Self { known, undecidable: HashSet::new(), owners, links }
    }

    /// Who owns the tenant, or did.
    pub fn ownership(&self, tenant: TenantId) -> Option<&Ownership> {
        self.owners.get(&tenant)
    }

    pub fn get(&self, tenant: TenantId) -> Option<Standing> {
        self.known.get(&tenant).copied()
    }

    /// Whether the tenant's stage may be another one than the last that could be read.
    pub fn is_undecidable(&self, tenant: TenantId) -> bool {
        self.undecidable.contains(&tenant)
    }

    /// Takes over what an event says. Streams of other aggregates say nothing to the gate.
    pub fn apply(&mut self, event: &RecordedEvent) -> Applied {
        match &*event.stream.aggregate_type {
            Tenant::TYPE => self.apply_to_tenant(event),
            Link::TYPE => self.links.apply(event),
            _ => Applied::default(),
        }
    }

    fn apply_to_tenant(&mut self, event: &RecordedEvent) -> Applied {
        let tenant = TenantId::from_uuid(event.tenant_id);
        let decoded = match decode_text::<Tenant>(&event.event_type, &event.event_version, event.payload.text()) {
            Ok(decoded) => decoded,
            Err(cause) => {
                self.undecidable.insert(tenant);
                return Applied { unreadable: Some(Unreadable::new(event, cause)), deleted: false };
            }
        };
        let stage = match decoded {
            Event::Provisioned { account, .. } => {
                self.known.insert(tenant, Standing { kind: account.kind, stage: Stage::Active });
                return Applied::default();
            }
            Event::Suspended { .. } | Event::Restored { .. } => Stage::Suspended,
            Event::Reinstated { .. } => Stage::Active,
            Event::Deprovisioned { .. } => Stage::Deprovisioning,
            Event::Deleted { .. } => Stage::Deleted,
            Event::Joined { msp, former_owner, .. } => {
                self.owners.insert(tenant, Ownership::Former(former_owner.to_string()));
                return self.belongs(tenant, TenantKind::Customer { msp });
            }
            Event::Unlinked { owner_id, .. } => {
                self.owners.insert(tenant, Ownership::Owner(owner_id.to_string()));
                return self.belongs(tenant, TenantKind::Independent);
            }
            Event::Updated { .. }
            | Event::UsageReported { .. }
            | Event::UsageMonthly { .. }
            | Event::DomainProven { .. } => return Applied::default(),
        };
        if let Some(standing) = self.known.get_mut(&tenant) {
            standing.stage = stage;
        }
        Applied { deleted: stage == Stage::Deleted, unreadable: None }
    }

    fn belongs(&mut self, tenant: TenantId, kind: TenantKind) -> Applied {
        if let Some(standing) = self.known.get_mut(&tenant) {
            standing.kind = kind;
        }
        Applied::default()
    }
}
