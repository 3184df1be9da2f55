//! One file per kind of fault.

pub mod database_killed;
pub mod failover;
pub mod frozen;
pub mod instances;
pub mod network;
pub mod service_killed;
pub mod suspension_felt;
