//! Real databases and brokers for tests. [`TestDatabase`] is a fresh database on the server that the whole run shares,
//! [`shared_kafka`] the run's broker; [`PostgresCluster`] and [`KafkaBroker`] are servers of the test's own, for tests that
//! kill them; [`Proxy`] is a bad network before a server.

mod cluster;
mod database;
mod kafka;
mod proxy;

pub use cluster::{PostgresCluster, free_port};
pub use database::{TestDatabase, old_transactions, rows_read};
pub use kafka::{KafkaBroker, shared_kafka};
pub use proxy::{Fault, Proxy};
