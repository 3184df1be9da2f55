//! One file per kind of fault.

pub mod service_killed;
