//! Everything derived from the log: the tenant directory, links, billing events and their export, deadlines, monthly usage
//! and access tokens.
//!
//! A projection applies a batch of events and moves its checkpoint in the same transaction, so a crash neither loses nor
//! repeats anything; every view can be rebuilt from position 0 at any time and comes out the same. Views hold no personal
//! value at all: they read the log sealed.
//!
//! [`Views`] opens and runs them, [`export`] sends billing events to Kafka. The queries stand in one module per view and take
//! the scope first: [`tenants`], [`links`], [`billing`], [`deadlines`], [`usage`], [`access_tokens`].

mod apply;
mod batch;
mod cells;
mod error;
mod generation;
mod history;
mod housekeeping;
mod progress;
mod projector;
mod rebuild;
mod rows;
mod status;
mod view;
mod views;

pub mod access_tokens;
pub mod billing;
pub mod deadlines;
pub mod export;
pub mod links;
pub mod tenants;
pub mod usage;

pub use error::{OpenError, QueryError, RebuildError};
pub use status::{Problem, ProblemKind, ProjectionState, ProjectionStatus};
pub use views::{Views, ViewsConfig};
