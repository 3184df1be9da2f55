//! The parts of the running service, as handlers get to see them.

use tenure_event_log::{Clock, EventLog};
use tenure_projections::Views;
use tenure_projections::export::Export;

use crate::dispatch::Dispatcher;
use crate::http::rate_limit::{RateLimit, TooMany};
use crate::identity::{Identity, Principal};
use crate::metrics::http::HttpStats;
use crate::metrics::sampler::Sampler;
use crate::stopping::Stopping;

/// What every handler gets to see.
pub struct App {
    /// The log, for readiness and for the control socket.
    pub log: EventLog,
    /// The views.
    pub views: Views,
    /// The billing export, where brokers are configured.
    pub export: Option<Export>,
    /// Who calls, and what they may do.
    pub identity: Identity,
    /// Carries out commands.
    pub dispatcher: Dispatcher,
    /// The service's clock.
    pub clock: Clock,
    /// How many requests one principal may make.
    pub rate_limit: RateLimit,
    /// How many requests may be made with one access token, beside that.
    pub token_rate_limit: RateLimit,
    /// The largest body that is read, in bytes.
    pub body_limit_bytes: usize,
    /// Counts requests.
    pub http: HttpStats,
    /// Asks the database what the metrics show of it.
    pub sampler: Sampler,
    /// Whether the service is about to stop.
    pub stopping: Stopping,
}

impl App {
    /// Counts a request of the principal, and notes that its access token is in use. Every dialect asks this once it knows
    /// who calls.
    ///
    /// # Errors
    /// [`TooMany`], which the dialect answers in its own form, with `Retry-After`.
    pub fn admit(&self, principal: &Principal) -> Result<(), TooMany> {
        let id = principal.id();
        self.rate_limit.count(&id)?;
        if principal.access_token.is_some() {
            self.token_rate_limit.count(&id)?;
        }
        self.dispatcher.note_use(principal);
        Ok(())
    }
}
