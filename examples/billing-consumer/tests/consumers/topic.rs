//! A topic of the test's own, and events on it as Tenure writes them: in transactions, keyed by tenant.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(30);
const TIME: &str = "2026-04-07T12:00:00Z";

pub struct Topic {
    pub name: String,
    producer: BaseProducer,
}

pub struct Event<'a> {
    pub id: String,
    pub kind: &'a str,
    pub tenant: &'a str,
    pub position: u64,
    pub value: &'a str,
}

impl Topic {
    pub async fn create(brokers: &str) -> Self {
        let name = format!("billing-{}", Uuid::now_v7().simple());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let admin: AdminClient<DefaultClientContext> = config.create().expect("an admin client");
        let topic = NewTopic::new(&name, 3, TopicReplication::Fixed(1));
        let made = admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(LIMIT))).await;
        made.expect("asking for the topic")[0].as_ref().expect("making the topic");
        let producer: BaseProducer = config.set("transactional.id", &name).create().expect("a producer");
        producer.init_transactions(LIMIT).expect("beginning with transactions");
        Self { name, producer }
    }

    /// Writes them in a transaction that counts.
    pub fn commit(&self, events: &[&Event<'_>]) {
        self.write(events);
        self.producer.commit_transaction(LIMIT).expect("committing");
    }

    /// Writes them in a transaction that does not.
    pub fn abort(&self, events: &[&Event<'_>]) {
        self.write(events);
        // On the broker, so that readers have something to leave out.
        self.producer.flush(LIMIT).expect("writing");
        self.producer.abort_transaction(LIMIT).expect("aborting");
    }

    fn write(&self, events: &[&Event<'_>]) {
        self.producer.begin_transaction().expect("a transaction");
        for event in events {
            let headers = event.headers();
            let record = BaseRecord::to(&self.name).key(event.tenant).payload(event.value).headers(headers);
            self.producer.send(record).map_err(|(error, _)| error).expect("sending");
        }
    }
}

impl<'a> Event<'a> {
    pub fn new(kind: &'a str, tenant: &'a str, position: u64) -> Self {
        Self { id: Uuid::now_v7().to_string(), kind, tenant, position, value: r#"{"shortCode":"acme-corp"}"# }
    }

    /// What a consumer prints for it.
    pub fn line(&self) -> String {
        format!("{} {} {} {TIME}", self.kind, self.tenant, self.position)
    }

    fn headers(&self) -> OwnedHeaders {
        let sequence = format!("{:020}", self.position);
        let attributes = [
            ("ce_specversion", "1.0"),
            ("ce_id", &self.id),
            ("ce_source", "urn:tenure:cell:test"),
            ("ce_type", self.kind),
            ("ce_subject", self.tenant),
            ("ce_time", TIME),
            ("ce_sequence", &sequence),
            ("content-type", "application/json"),
        ];
        attributes
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
    }
}
