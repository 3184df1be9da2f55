//! What the clients asked for and what they were told: the one side of the comparison that ends a scenario.

use std::collections::BTreeMap;

use serde::Serialize;
use tenure_aggregates::TenantId;
use tenure_aggregates::tenant::Stage;

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the operations of the native API")]
pub enum Kind {
    Provision,
    Update,
    Suspend,
    Reinstate,
    Deprovision,
    Restore,
    ReportUsage,
}

impl Kind {
    /// The events that it writes, in order.
    #[must_use]
    pub const fn events(self) -> &'static [&'static str] {
        match self {
            Self::Provision => &["tenant.provisioned", "administrator.invited"],
            Self::Update => &["tenant.updated"],
            Self::Suspend => &["tenant.suspended"],
            Self::Reinstate => &["tenant.reinstated"],
            Self::Deprovision => &["tenant.deprovisioned"],
            Self::Restore => &["tenant.restored"],
            Self::ReportUsage => &["tenant.usage.reported"],
        }
    }
}

/// What the answers to a command's attempts promise together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Promise {
    /// It was carried out: it is in the log once.
    Done,
    /// It was refused each time: it is not in the log.
    NotDone,
    /// Nobody said: it is in the log once or not at all.
    Unknown,
}

/// One command, from its first attempt to the last.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Goes with every attempt as `X-Request-Id` (and as `Idempotency-Key` where the operation takes one), so that the
    /// command is found in the log.
    pub mark: String,
    /// What was asked.
    pub kind: Kind,
    /// The short code of the tenant.
    pub short_code: String,
    /// Each attempt: the instance asked, and the status or what broke.
    pub attempts: Vec<String>,
    /// What follows from the answers.
    pub promise: Promise,
    /// The position told, where the first attempt was answered.
    pub position: Option<u64>,
}

/// A tenant as the client that owns it believes it to be.
#[derive(Clone, Copy, Debug)]
pub struct Believed {
    /// Its id.
    pub id: TenantId,
    /// Where it stands, unless a command's outcome is not known.
    pub stage: Option<Stage>,
}

/// Everything that one scenario's clients know.
#[derive(Debug, Default)]
pub struct History {
    /// Every command.
    pub records: Vec<Record>,
    /// The tenants by short code.
    pub tenants: BTreeMap<String, Believed>,
    /// Answers that no correct service gives, for example a conflict with one's own command.
    pub surprises: Vec<String>,
    /// Requests that only read and whose answer was compared with what was written before.
    pub reads: u64,
}

impl History {
    /// Takes over what another client knows.
    pub fn absorb(&mut self, other: Self) {
        self.records.extend(other.records);
        self.tenants.extend(other.tenants);
        self.surprises.extend(other.surprises);
        self.reads += other.reads;
    }

    /// How many commands were told to be done.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.records.iter().filter(|record| record.promise == Promise::Done).count()
    }
}
