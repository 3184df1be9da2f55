//! The gate: which tenants and access tokens may be used right now, and by which groups, in memory, by following the log.
//!
//! A valid token says who somebody is; whether the tenant may be used is asked here on every request, so that a
//! suspension is felt at once. An instance that can't read the log turns tenants' people away rather than guess.

mod follow;
mod links;
mod standing;
mod tokens;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tenure_aggregates::access_token::LastUse;
use tenure_aggregates::link::GroupRole;
use tenure_aggregates::tenant::Stage;
use tenure_aggregates::values::{Groups, PrincipalId, TokenHash};
use tenure_aggregates::{AccessTokenId, Folded, TenantId, TenantKind};
use tenure_event_log::{EventLog, Milestone, Position, ReadError, StreamId};
use tokio::task::JoinHandle;

use super::denied::{Denied, TokenFault};
use super::policy::Resource;
use links::Links;
use standing::Tenants;
use tokens::Tokens;

pub use links::LinkStanding;
pub use standing::Ownership;
pub use tokens::KnownToken;

/// How often who waits for a look at the log asks whether there was one.
const GLANCE: Duration = Duration::from_millis(10);
/// For how long what was read counts as the present.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// A tenant as the gate knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its place in the tree.
    pub kind: TenantKind,
    /// Where it is in its life.
    pub stage: Stage,
}

/// What the views know, so that the gate need not read the log from its beginning.
#[derive(Clone, Debug, Default)]
pub struct GateStart {
    /// Up to where the views have read the log.
    pub position: Position,
    /// Every tenant as it is there.
    pub tenants: Vec<(TenantId, Standing)>,
    /// Who owns a tenant that an MSP let go, or owned one that joined.
    pub owners: Vec<(TenantId, Ownership)>,
    /// Every link that holds.
    pub links: Vec<LinkStanding>,
    /// Every access token that was not revoked.
    pub tokens: Vec<KnownToken>,
}

/// Why the gate can't start.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The log can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was read once is there no more.
    #[error("the log no longer holds the event at position {0} that this instance has read")]
    Rewritten(Position),
}

/// Which tenants may be used. Clones share everything; the last one to go ends the following.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
    following: Arc<Mutex<Option<JoinHandle<()>>>>,
}

struct Inner {
    log: EventLog,
    tenants: RwLock<Tenants>,
    tokens: RwLock<Tokens>,
    position: Milestone,
    born: Instant,
    /// When the log was last read to its end, in milliseconds after `born`.
    fresh_at_ms: AtomicU64,
    /// The last event taken over.
    last: Mutex<Option<Seen>>,
    /// The position at which the log has another event than was read there, or none; 0 for nowhere.
    rewritten: AtomicU64,
}

/// An event, as far as no other has the same.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    position: Position,
    stream: StreamId,
    sequence: u64,
    recorded_at: DateTime<Utc>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Gate {
    /// Takes over what the views know, reads the log from there to its end, and follows it from then on.
    ///
    /// # Errors
    /// The log can't be read, or not understood.
    pub async fn start(log: EventLog, start: GateStart) -> Result<Self, GateError> {
        let inner = Arc::new(Inner {
            log,
            tenants: RwLock::new(Tenants::new(start.tenants, start.owners, Links::new(start.links))),
            tokens: RwLock::new(Tokens::new(start.tokens)),
            position: Milestone::new(start.position),
            born: Instant::now(),
            fresh_at_ms: AtomicU64::new(0),
            last: Mutex::new(None),
            rewritten: AtomicU64::new(0),
        });
        while !inner.read_page().await?.at_end {}
        let following = Arc::new(Mutex::new(Some(follow::spawn(&inner))));
        Ok(Self { inner, following })
    }

    /// Reads the log no more, which may be closed then.
    pub async fn stop(&self) {
        let following = self.following.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(following) = following {
            following.abort();
            // Cut off, or at its end: either way it is over.
            let _ = following.await;
        }
    }

    /// Whether people of this tenant may act now; if so, the tenant's place in the tree.
    ///
    /// An MSP's people pass on what was last known: customers can't be helped by locking out those who run them.
    ///
    /// # Errors
    /// The tenant or its MSP is not active, or not known, or the log could not be read for a second.
    pub fn check(&self, tenant: TenantId) -> Result<TenantKind, Denied> {
        // Before the look at the tenants, so that what is seen is no older than the answer claims.
        let fresh = self.is_fresh();
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        let Some(standing) = tenants.get(tenant) else {
            return Err(if fresh { Denied::TenantUnknown } else { Denied::GateStale });
        };
        match standing.kind {
            TenantKind::Customer { .. } | TenantKind::Independent if !fresh => return Err(Denied::GateStale),
            TenantKind::Independent if tenants.is_undecidable(tenant) => return Err(Denied::GateStale),
            TenantKind::Msp | TenantKind::Independent => usable(standing.stage)?,
            TenantKind::Customer { msp } if tenants.is_undecidable(tenant) || tenants.is_undecidable(msp) => {
                return Err(Denied::GateStale);
            }
            TenantKind::Customer { msp } => {
                usable(standing.stage)?;
                usable(tenants.get(msp).map_or(Stage::Unprovisioned, |msp| msp.stage))?;
            }
        }
        Ok(standing.kind)
    }

    /// The access token with this hash. Whether its time is over and its tenant may be used is not asked here.
    ///
    /// # Errors
    /// No such token is alive, or the log could not be read for a second: it may have been revoked, whosever it is.
    pub fn access_token(&self, hash: &TokenHash) -> Result<KnownToken, Denied> {
        // Before the look at the tokens, so that what is seen is no older than the answer claims.
        let fresh = self.is_fresh();
        let tokens = self.inner.tokens.read().unwrap_or_else(PoisonError::into_inner);
        match tokens.with_hash(hash) {
            _ if !fresh => Err(Denied::GateStale),
            Some((_, true)) => Err(Denied::GateStale),
            Some((token, false)) => Ok(token.clone()),
            None => Err(TokenFault::NotLive.into()),
        }
    }

    /// Whether the token itself was not revoked, but one that it was made with, or that one with, was.
    #[must_use]
    pub fn is_cut_off(&self, token: AccessTokenId) -> bool {
        self.inner.tokens.read().unwrap_or_else(PoisonError::into_inner).is_cut_off(token)
    }

    /// How many tokens are alive that this maker made, or that descend from one of these. For a token that makes others: those of
    /// whoever made it.
    #[must_use]
    pub fn tokens_alive(&self, maker: &PrincipalId) -> usize {
        self.inner.tokens.read().unwrap_or_else(PoisonError::into_inner).alive_of(maker, self.inner.log.clock().now())
    }

    /// What is known of a token's uses; `None` if it is not alive.
    #[must_use]
    pub fn uses_of(&self, token: AccessTokenId) -> Option<Folded<LastUse>> {
        let tokens = self.inner.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).map(|token| token.uses.clone())
    }

    /// Waits for a look at the log that begins after this call: what others committed before is known then. A log that
    /// can't be read is not waited for longer than it takes to count as such.
    pub async fn look_again(&self) {
        let asked = self.inner.born.elapsed();
        let looked = async {
            while Duration::from_millis(self.inner.fresh_at_ms.load(Ordering::Acquire)) <= asked {
                tokio::time::sleep(GLANCE).await;
            }
        };
        // Whichever comes first.
        let _ = tokio::time::timeout(FRESH_FOR, looked).await;
    }

    /// A tenant as a resource; `None` if there never was one of this id.
    #[must_use]
    pub fn resource(&self, tenant: TenantId) -> Option<Resource> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).map(|standing| Resource { tenant, kind: standing.kind })
    }

    /// Where a tenant is in its life; `None` if there never was one of this id.
    #[must_use]
    pub fn stage(&self, tenant: TenantId) -> Option<Stage> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.get(tenant).map(|standing| standing.stage)
    }

    /// The highest role that the groups of an MSP's people give in an account that it manages.
    #[must_use]
    pub fn group_role(&self, msp: TenantId, account: TenantId, groups: &Groups) -> Option<GroupRole> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.links.role_in(msp, account, groups)
    }

    /// Each account that the groups of an MSP's people are let into, with their highest role there.
    #[must_use]
    pub fn let_in(&self, msp: TenantId, groups: &Groups) -> Vec<(TenantId, GroupRole)> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.links.let_in(msp, groups)
    }

    /// Who owns a tenant since an MSP let it go, or owned it until it joined one.
    pub(super) fn ownership(&self, tenant: TenantId) -> Option<Ownership> {
        let tenants = self.inner.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.ownership(tenant).cloned()
    }

    /// The MSP of a customer; `None` for an MSP, for who has none and for what is no tenant.
    #[must_use]
    pub fn msp_of(&self, tenant: TenantId) -> Option<TenantId> {
        match self.resource(tenant)?.kind {
            TenantKind::Msp | TenantKind::Independent => None,
            TenantKind::Customer { msp } => Some(msp),
        }
    }

    /// Waits until the gate has passed `position`, but no longer than `limit`. Answers whether it has.
    pub async fn wait_for(&self, position: Position, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.inner.position.passed(position)).await.is_ok()
    }

    /// A subject's pseudonym: the same everywhere in the cell, and telling nothing to who lacks the master key.
    pub(super) fn blind(&self, subject: &str) -> String {
        self.inner.log.blind("principal.subject", subject)
    }

    /// Up to where the gate has read the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.position.reached()
    }

    /// Whether the log was read to its end within the last second. For readiness; [`Gate::check`] asks by itself.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.age() <= FRESH_FOR && self.rewritten().is_none()
    }

    /// Where the log does not hold what this instance has read: a failover lost the log's tail, or a backup was restored
    /// under a running service. What this process remembers is then worth nothing.
    #[must_use]
    pub fn rewritten(&self) -> Option<Position> {
        match self.inner.rewritten.load(Ordering::Acquire) {
            0 => None,
            position => Some(Position::new(position)),
        }
    }

    /// How long ago the log was last read to its end.
    #[must_use]
    pub fn age(&self) -> Duration {
        let fresh_at = Duration::from_millis(self.inner.fresh_at_ms.load(Ordering::Acquire));
        self.inner.born.elapsed().saturating_sub(fresh_at)
    }
}

fn usable(stage: Stage) -> Result<(), Denied> {
    match stage {
        Stage::Active => Ok(()),
        Stage::Suspended => Err(Denied::TenantSuspended),
        Stage::Deprovisioning => Err(Denied::TenantDeprovisioned),
        Stage::Deleted => Err(Denied::TenantDeleted),
        Stage::Unprovisioned => Err(Denied::TenantUnknown),
    }
}
