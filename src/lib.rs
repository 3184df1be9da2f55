//! The service: configuration, identity, dispatch of commands, HTTP dialects, scheduler and command line.
//!
//! The way of a command: a dialect's DTO becomes a command (`native`, `netbird`), the caller is authorized (`identity`), the command
//! is decided and appended (`dispatch`), the views catch up (`tenure_projections`), the dialect answers.

mod app;
pub mod application;
mod bootstrap;
pub mod cli;
pub mod config;
mod control;
mod dispatch;
mod dns;
mod health;
mod http;
pub mod identity;
mod metrics;
mod moment;
mod native;
mod netbird;
mod scheduler;
mod stopping;
mod telemetry;
