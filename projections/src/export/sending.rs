//! Sending: what a record looks like, which partition it goes to, how many go in a transaction, and the transaction itself.

pub(crate) mod partition;
pub(crate) mod record;
pub(crate) mod size;
pub(crate) mod transaction;
