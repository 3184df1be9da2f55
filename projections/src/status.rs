//! What each projection is doing, for `/health/ready`, the metrics and `tenure projections list`.

use std::fmt;

use chrono::{DateTime, Utc};
use tenure_event_log::Position;

/// Whether anybody reads a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionState {
    /// Queries read it.
    Live,
    /// It is being built beside the live one.
    Building,
}

/// What stops a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// An event can't be applied: somebody has to repair the log's row or the code.
    Poison,
    /// This release doesn't know the event: a newer instance must apply it.
    UnknownEvent,
    /// A database can't be used at the moment.
    Unavailable,
}

/// Why a projection stands still. It is tried again and again, and nothing is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What stops it.
    pub kind: ProblemKind,
    /// The event that it stands before, if it is an event.
    pub position: Option<Position>,
    /// That event's type.
    pub event_type: Option<String>,
    /// For the operator. Never holds a personal value.
    pub error: String,
    /// Since when, by the system's clock.
    pub since: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: u32,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.position, &self.event_type) {
            (Some(position), Some(event_type)) => write!(f, "{event_type} at position {position}: {}", self.error),
            _ => f.write_str(&self.error),
        }
    }
}

/// One generation of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// The view's name, for example `tenants`.
    pub name: &'static str,
    /// The version of its shape.
    pub version: u32,
    /// Which build of it.
    pub generation: u32,
    /// Live or building.
    pub state: ProjectionState,
    /// The last event in it.
    pub position: Position,
    /// Why it stands still, if it does.
    pub problem: Option<Problem>,
}
