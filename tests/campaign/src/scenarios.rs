//! One file per kind of fault.

pub mod database_killed;
pub mod disk_full;
pub mod export;
pub mod failover;
pub mod frozen;
pub mod instances;
pub mod network;
pub mod read_only;
pub mod scheduled;
pub mod service_killed;
pub mod suspension_felt;
pub mod upgrade;
