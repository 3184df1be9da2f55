//! The service: configuration, identity, dispatch of commands, HTTP dialects, scheduler and command line.
//!
//! The way of a command: a dialect's DTO becomes a command (`native`), the caller is authorized (`identity`), the command
//! is decided and appended (`dispatch`), the views catch up (`tenure_projections`), the dialect answers.

pub mod app;
pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod control;
pub mod dispatch;
pub mod health;
pub mod http;
pub mod identity;
pub mod native;
pub mod scheduler;
pub mod telemetry;
