//! The way of a command: load, decide, append, wait for the views.
//!
//! Aggregates decide, the log orders; this module only brings the two together, and decides again where somebody else
//! was faster.

mod access_tokens;
mod changes;
mod context;
mod error;
mod in_flight;
mod link_creation;
mod links;
mod precondition;
mod provision;
mod stripes;
mod tenants;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tenure_aggregates::tenant::{Stage, Tenant};
use tenure_aggregates::values::Retention;
use tenure_aggregates::{AccessTokenId, Folded, Replay, TenantId, fold, fold_on};
use tenure_event_log::{Append, AppendError, Appended, EventLog, Position, ReadError, TimedCache, Violation};
use tenure_projections::Views;

pub use access_tokens::NewAccessToken;
pub use context::{CommandContext, IdempotencyKey, IdempotentRequest, Wait};
pub use error::CommandError;
pub use link_creation::LinkedAccount;
pub use links::{LinkKey, LinkOutcome, LinkRequest};
pub use precondition::Precondition;
pub use provision::NewTenant;
pub use tenants::Scope;

use crate::dns::DomainProofs;
use crate::identity::Gate;
use in_flight::InFlight;
use stripes::Stripes;

/// For how long a command that loses to others is decided again, before the client is asked to come back.
const DECIDE_AGAIN_FOR: Duration = Duration::from_secs(2);
/// How long a client waits for an append whose answer was lost, before it is told that the outcome is not known.
const APPENDED_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer waits for the gate: longer than the gate trusts what it read (1 s). A gate that has not passed the
/// command by then turns tenants' people away, so that a suspension is in force when it is answered.
const GATE_WITHIN: Duration = Duration::from_millis(1_500);
/// For how long an instance does not try again to write a use of an access token down.
const NOTED_FOR: Duration = Duration::from_secs(5);
/// Access tokens in use whose last attempt is remembered.
const NOTED: usize = 100_000;
/// Tenants whose folded state is kept in memory.
const CACHED_TENANTS: usize = 10_000;
/// How long it is kept: that of a tenant which another instance erased is forgotten by then.
const CACHED_FOR: Duration = Duration::from_mins(1);

/// What operators may choose about commands.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a deprovisioned tenant can be restored.
    pub retention: Retention,
    /// Whether a deleted tenant's short code is free again.
    pub release_short_codes: bool,
    /// How long a reply waits for the views and the gate.
    pub wait_for_views: Duration,
}

/// A command that was carried out, now or when the same request came first.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The tenant as the command left it.
    pub tenant: Folded<Tenant>,
    /// Which tenant.
    pub tenant_id: TenantId,
    /// Position of the command's last event, on a repeat one after it; `None` if nothing changed.
    pub position: Option<Position>,
    /// Time for which the answer is rendered: that of the command.
    pub at: DateTime<Utc>,
    /// Whether the views show the command.
    pub in_views: bool,
    /// The status that is remembered for repeats of the request, if it carried an `Idempotency-Key`: this answer's.
    pub remembered_status: Option<u16>,
}

/// Carries out commands. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

struct Inner {
    log: EventLog,
    views: Views,
    gate: Gate,
    settings: Settings,
    tenants: TimedCache<TenantId, Arc<Folded<Tenant>>>,
    stripes: Stripes,
    in_flight: InFlight,
    proofs: DomainProofs,
    /// Access tokens whose use is being written down.
    noted: TimedCache<AccessTokenId, ()>,
}

impl Dispatcher {
    /// A dispatcher that appends to `log` and waits for `views` and `gate`; domains are proven by `proofs`.
    #[must_use]
    pub fn new(log: EventLog, views: Views, gate: Gate, settings: Settings, proofs: DomainProofs) -> Self {
        let inner = Inner {
            log,
            views,
            gate,
            settings,
            tenants: TimedCache::new(CACHED_TENANTS, CACHED_FOR),
            stripes: Stripes::new(),
            in_flight: InFlight::default(),
            proofs,
            noted: TimedCache::new(NOTED, NOTED_FOR),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What operators chose about commands.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.inner.settings
    }

    /// The log's last position.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn head(&self) -> Result<Position, ReadError> {
        self.inner.log.head().await
    }

    /// Runs a command in a task of its own: a client that hangs up drops nothing.
    async fn detached<T, F>(&self, command: F) -> Result<T, CommandError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CommandError>> + Send + 'static,
    {
        use tracing::Instrument;
        match tokio::spawn(command.in_current_span()).await {
            Ok(outcome) => outcome,
            Err(failed) => Err(CommandError::Defect(failed.to_string())),
        }
    }
}

impl Inner {
    /// The tenant as the log has it now.
    async fn load_tenant(&self, id: TenantId) -> Result<Folded<Tenant>, CommandError> {
        let events = self.log.load::<Replay<Tenant>>(&id.to_string()).await?;
        Ok(fold::<Tenant>(&id.to_string(), events)?)
    }

    /// The same, from a state that was read before: only what followed it is read now. A state that nothing can follow,
    /// since the log was put back to a backup, is given up.
    async fn follow_tenant(&self, id: TenantId, known: &Folded<Tenant>) -> Result<Folded<Tenant>, CommandError> {
        let stream = id.to_string();
        let events = self.log.load_after::<Replay<Tenant>>(&stream, known.sequence).await?;
        match fold_on(known.clone(), &stream, events) {
            Ok(folded) => Ok(folded),
            Err(_) => self.load_tenant(id).await,
        }
    }

    /// Remembers a tenant's state for the next command.
    fn keep_tenant(&self, id: TenantId, folded: Arc<Folded<Tenant>>) {
        match folded.state.stage() {
            // What was erased is not kept here either; what isn't there may be made on another instance.
            Stage::Deleted | Stage::Unprovisioned => self.tenants.remove(&id),
            Stage::Active | Stage::Suspended | Stage::Deprovisioning => self.tenants.insert(id, folded),
        }
    }

    async fn append(&self, append: Append, context: &CommandContext) -> Result<Appended, CommandError> {
        let has_key = append.idempotency.is_some();
        let appended = tokio::time::timeout(APPENDED_WITHIN, self.log.append(append, context.lane)).await;
        // The log goes on trying: what it accepted is not dropped.
        let appended = appended.map_err(|_| CommandError::OutcomeUnknown)?;
        appended.map_err(|error| match error {
            AppendError::Unavailable { unknown: true, .. } => CommandError::OutcomeUnknown,
            AppendError::Violated(Violation::RequestRepeated) if has_key => CommandError::Repeated,
            other => other.into(),
        })
    }

    /// Waits, bounded, until this instance's gate and (if the caller wants to) its views have passed `position`.
    async fn settle(&self, position: Position, wait: Wait) -> bool {
        let gate = self.gate.wait_for(position, GATE_WITHIN);
        match wait {
            Wait::ForViews => tokio::join!(gate, self.views.wait_for(position, self.settings.wait_for_views)).1,
            Wait::No => {
                gate.await;
                false
            }
        }
    }
}
