//! The tenant's rules.

mod account;
mod claims;
mod lifecycle;
mod management;
pub(crate) mod possible;
mod stages;
mod usage;

use tenure_aggregates::tenant::{Command, Error, Event};
use tenure_aggregates::{Decider, Tenant};

use crate::given::state;

/// What `command` does to a tenant with `history`.
fn when(history: &[Event], command: Command) -> Result<Vec<Event>, Error> {
    state::<Tenant>(history).decide(command)
}
