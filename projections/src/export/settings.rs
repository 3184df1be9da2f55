//! What the export is set up with, and the librdkafka configurations that follow from it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use secrecy::{ExposeSecret, SecretString};

use super::brokers::connection::Connection;

/// What every cell's `ce_source` begins with.
pub(super) const SOURCE: &str = "urn:tenure:cell:";

/// Properties that exactly-once delivery stands on, or that settings of their own decide.
const RESERVED: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "bootstrap.servers",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "transaction.timeout.ms",
    "transactional.id",
];

/// How to reach the brokers, and what to call things there.
#[derive(Clone)]
pub struct ExportSettings {
    /// Bootstrap brokers, `host:port`.
    pub brokers: Vec<String>,
    /// Names this deployment: its transactional id is `tenure-billing-CELL`, its events come from `urn:tenure:cell:CELL`.
    pub cell: String,
    /// Where clients reach the service, without a slash at the end: the schemas' addresses begin with it.
    pub public_url: String,
    /// The topic that billing events go to.
    pub topic: String,
    /// The topic that says how far they have gone.
    pub progress_topic: String,
    /// Partitions of the billing topic, fixed for its life.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// Copies that must have a record before it counts as written.
    pub min_insync_replicas: i32,
    /// How long the billing topic keeps records, in milliseconds; -1 for ever.
    pub retention_ms: i64,
    /// A producer that dies with a transaction open blocks read-committed consumers no longer than this.
    pub transaction_timeout: Duration,
    /// How the brokers know us, and we them.
    pub security: Security,
    /// Further properties of librdkafka, see [`ExportSettings::is_reserved`].
    pub properties: BTreeMap<String, String>,
    /// Told of each step of the export; for tests that end the process at one of them.
    pub observer: Option<Observer>,
}

/// TLS and SASL. Without any of it: plain text.
#[derive(Clone, Default)]
pub struct Security {
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub protocol: Option<String>,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
    pub mechanism: Option<String>,
    /// The user.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// A PEM file with the authorities that sign the brokers' certificates; the system's without it.
    pub ca: Option<PathBuf>,
}

/// Where in its loop the export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A transaction is about to begin.
    BeforeSend,
    /// Its records were handed over, and the brokers have them.
    AfterSend,
    /// The progress record is part of it; what is left is the commit.
    BeforeCommit,
    /// It is committed.
    AfterCommit,
    /// The database's copy of the progress is about to be written.
    BeforeCopy,
}

/// Is called at every [`Step`], on whatever thread is there.
pub type Observer = Arc<dyn Fn(Step) + Send + Sync>;

impl ExportSettings {
    /// The defaults for these brokers, as development has them: one copy of everything.
    #[must_use]
    pub fn new(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            cell: "main".to_owned(),
            public_url: "http://127.0.0.1:7101".to_owned(),
            topic: "tenure.billing.v1".to_owned(),
            progress_topic: "tenure.billing.progress.v1".to_owned(),
            partitions: 6,
            replication: 1,
            min_insync_replicas: 1,
            retention_ms: -1,
            transaction_timeout: Duration::from_secs(10),
            security: Security::default(),
            properties: BTreeMap::new(),
            observer: None,
        }
    }

    /// Whether a property is not to be set, because exactly-once delivery stands on it or a setting of its own decides it.
    #[must_use]
    pub fn is_reserved(property: &str) -> bool {
        RESERVED.contains(&property)
    }

    /// The name that fences every other exporter of this cell.
    #[must_use]
    pub fn transactional_id(&self) -> String {
        format!("tenure-billing-{}", self.cell)
    }

    /// `ce_source`: the cell.
    #[must_use]
    pub fn source(&self) -> String {
        format!("{SOURCE}{}", self.cell)
    }

    /// What every client of the brokers needs.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers.join(","));
        config.set("client.id", self.transactional_id());
        // A restarted broker is found again within a second.
        config.set("reconnect.backoff.max.ms", "1000");
        let Security { protocol, mechanism, username, password, ca } = &self.security;
        let password = password.as_ref().map(|password| password.expose_secret().to_owned());
        let ca = ca.as_ref().map(|path| path.display().to_string());
        let named = [
            ("security.protocol", protocol.clone()),
            ("sasl.mechanism", mechanism.clone()),
            ("sasl.username", username.clone()),
            ("sasl.password", password),
            ("ssl.ca.location", ca),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                config.set(name, value);
            }
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// A client that asks about topics and makes them.
    #[must_use]
    pub fn admin(&self) -> ClientConfig {
        self.client()
    }

    /// A producer whose records come in order and once, keys landing where the Java client puts them.
    #[must_use]
    pub fn idempotent_producer(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
        config.set("queue.buffering.max.messages", "100000");
        config
    }

    /// The one producer of the cell.
    #[must_use]
    pub fn transactional_producer(&self) -> ClientConfig {
        let mut config = self.idempotent_producer();
        config.set("transactional.id", self.transactional_id());
        config.set("transaction.timeout.ms", self.transaction_timeout.as_millis().to_string());
        config
    }

    /// After this nobody's transaction should be open any more: brokers look every ten seconds which ones are too old.
    #[must_use]
    pub fn decided_within(&self) -> Duration {
        self.transaction_timeout * 2 + Duration::from_secs(10)
    }

    /// A consumer that sees what is committed, and the end of each partition, and stores no offsets.
    #[must_use]
    pub fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        // Never joined; librdkafka wants a name all the same.
        config.set("group.id", format!("{}-reader", self.transactional_id()));
        config.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        config.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        // Whoever reads to the end hears only after that time that it is one.
        config.set("fetch.wait.max.ms", "50");
        config
    }

    /// The same, but it sees what is not decided yet, too.
    pub(super) fn consumer_of_all(&self) -> ClientConfig {
        let mut config = self.consumer();
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// Whether librdkafka knows the properties and takes their values; no broker is asked.
    ///
    /// # Errors
    /// Which one it refuses, and why.
    pub fn check(&self) -> Result<(), String> {
        let refused = |error: rdkafka::error::KafkaError| error.to_string();
        Connection::default().producer(&self.transactional_producer()).map_err(refused)?;
        Connection::default().consumer(&self.consumer()).map_err(refused).map(drop)
    }

    pub(super) fn observe(&self, step: Step) {
        if let Some(observer) = &self.observer {
            observer(step);
        }
    }
}

impl fmt::Debug for ExportSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportSettings")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
