//! The parts of the running service, as handlers get to see them.

use tenure_event_log::{Clock, EventLog};
use tenure_projections::Views;
use tenure_projections::export::Export;

use crate::dispatch::Dispatcher;
use crate::http::rate_limit::RateLimit;
use crate::identity::Identity;
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
    /// The description of its topics.
    pub asyncapi: String,
    /// Who calls, and what they may do.
    pub identity: Identity,
    /// Carries out commands.
    pub dispatcher: Dispatcher,
    /// The service's clock.
    pub clock: Clock,
    /// How many requests one principal may make.
    pub rate_limit: RateLimit,
    /// The largest body that is read, in bytes.
    pub body_limit_bytes: usize,
    /// Counts requests.
    pub http: HttpStats,
    /// Asks the database what the metrics show of it.
    pub sampler: Sampler,
    /// Whether the service is about to stop.
    pub stopping: Stopping,
}
