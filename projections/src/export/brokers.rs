//! Asking the brokers: connections, topics, and whether readers see all that a topic holds.

pub(crate) mod clients;
pub(crate) mod connection;
pub(crate) mod decided;
pub(crate) mod topics;
