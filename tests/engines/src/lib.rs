//! Real databases for tests. [`TestDatabase`] is a fresh database on the server that the whole run shares;
//! [`PostgresCluster`] is a server of the test's own, for tests that kill it; [`Proxy`] is a bad network before a server.

mod cluster;
mod database;
mod proxy;

pub use cluster::{PostgresCluster, free_port};
pub use database::TestDatabase;
pub use proxy::{Fault, Proxy};
