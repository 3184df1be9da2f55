//! Real databases for tests. [`TestDatabase`] is a fresh database on the server that the whole run shares;
//! [`PostgresCluster`] is a server of the test's own, for tests that kill it.

mod cluster;
mod database;

pub use cluster::{PostgresCluster, free_port};
pub use database::TestDatabase;
