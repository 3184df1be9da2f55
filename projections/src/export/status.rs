//! What the export is doing, for `/health/ready`, the metrics and whoever asks on the command line.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use tenure_event_log::Position;

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportState {
    /// Another instance exports.
    Standby,
    /// It is on its way to the brokers, or waits for them.
    Connecting,
    /// Events flow.
    Exporting,
    /// It waits for an operator: going on could lose or double a bill.
    Stopped,
}

impl ExportState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Standby, Self::Connecting, Self::Exporting, Self::Stopped];

    /// Its name in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Connecting => "connecting",
            Self::Exporting => "exporting",
            Self::Stopped => "stopped",
        }
    }
}

/// How the export does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportStatus {
    /// What it does.
    pub state: ExportState,
    /// Since when, by the system's clock.
    pub since: DateTime<Utc>,
    /// What is wrong and what to do, if anything is.
    pub reason: Option<String>,
    /// The last position whose billing event is exported, as far as this instance knows.
    pub exported: Position,
    /// Up to where this instance has looked for billing events and exported what it found.
    pub passed: Position,
    /// Billing events that this instance exported since it started.
    pub events: u64,
    /// Transactions that it committed.
    pub transactions: u64,
    /// Transactions and producers that failed. Nothing is lost with one.
    pub failures: u64,
}

/// Where the worker writes it down.
pub(super) struct Board(Mutex<ExportStatus>);

impl Board {
    pub fn new() -> Self {
        Self(Mutex::new(ExportStatus {
            state: ExportState::Connecting,
            since: Utc::now(),
            reason: None,
            exported: Position::START,
            passed: Position::START,
            events: 0,
            transactions: 0,
            failures: 0,
        }))
    }

    pub fn read(&self) -> ExportStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut ExportStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// A change of state is logged, once.
    pub fn state(&self, state: ExportState, reason: Option<String>) {
        self.change(|status| {
            if status.state == state && status.reason == reason {
                return;
            }
            match (&reason, state) {
                (Some(reason), ExportState::Stopped) => tracing::error!(reason, "the billing export stopped"),
                (Some(reason), _) => tracing::warn!(reason, state = state.as_str(), "billing export"),
                (None, _) => tracing::info!(state = state.as_str(), "billing export"),
            }
            if status.state != state {
                status.since = Utc::now();
            }
            (status.state, status.reason) = (state, reason);
        });
    }

    /// Where it goes on, which may be before what it had passed: an operator may have said so.
    pub fn stands_at(&self, exported: Position) {
        self.change(|status| (status.exported, status.passed) = (exported, exported));
    }

    pub fn passed(&self, position: Position) {
        self.change(|status| status.passed = status.passed.max(position));
    }

    pub fn committed(&self, events: usize, exported: Position) {
        self.change(|status| {
            status.events += u64::try_from(events).unwrap_or(u64::MAX);
            status.transactions += 1;
            status.exported = exported;
            status.passed = status.passed.max(exported);
        });
    }

    pub fn failed(&self) {
        self.change(|status| status.failures += 1);
    }
}
