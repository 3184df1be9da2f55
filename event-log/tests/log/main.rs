//! The rules of the log, written once and held by both engines.
//!
//! Each rule is a module with one test per engine, on a database of its own: `rules::a_moved_stream::postgres`.

#![expect(clippy::unwrap_used, reason = "what is in the way of a test has to stop it")]

#[macro_use]
mod bench;

mod appending_process;
mod claims_and_limits;
mod crash;
mod erasure;
mod facts;
mod failover;
mod feed;
mod form;
mod idempotency;
mod keys;
mod killed_server;
mod lanes;
mod opening;
mod order;
mod postgres_network;
mod postgres_promises;
mod races;
mod rules;
mod sealing;
mod several_processes;
mod sqlite_backup;
mod sqlite_directory;
mod sqlite_disk;
