//! The service as its users meet it, on real engines. One binary; each file holds the rules of one subject.
//!
//! [`service`] starts a whole service: in this process for most tests, as a process of its own where it is killed, or
//! where its command line and its log are looked at.

#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect fails")]

mod access_tokens;
mod authorization;
mod backup;
mod bad_input;
mod billing;
mod campaign;
mod command_line;
mod contract;
mod crash;
mod export;
mod gate;
mod idempotency;
mod lifecycle;
mod logs;
mod metrics;
mod netbird;
mod openapi;
mod outage;
mod personal_data;
mod poison;
mod readiness;
mod reconciliation;
mod replay;
mod runbook;
mod scheduler;
mod seed;
mod service;
mod several_instances;
mod shutdown;
mod tls;
mod traces;
mod transactions;
