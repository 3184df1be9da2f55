//! What an operator, or an accident, does to topics.

use std::collections::HashMap;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use crate::deployment::{PATIENCE, eventually};

type Admin = AdminClient<DefaultClientContext>;

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

pub fn admin(brokers: &str) -> Admin {
    client(brokers).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

pub async fn create(brokers: &str, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    admin(brokers).create_topics(&[topic], &options()).await.unwrap().remove(0).unwrap();
}

/// Deletes a topic; resolves when the broker does not know it any more.
pub async fn delete(brokers: &str, topic: &str) {
    let admin = admin(brokers);
    admin.delete_topics(&[topic], &options()).await.unwrap().remove(0).unwrap();
    eventually("the topic is gone", async || {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        metadata.topics().iter().all(|known| known.name() != topic).then_some(())
    })
    .await;
}

pub async fn raise_partitions(brokers: &str, topic: &str, to: usize) {
    let raised = NewPartitions::new(topic, to);
    admin(brokers).create_partitions(&[raised], &options()).await.unwrap().remove(0).unwrap();
}

/// Deletes every record, and leaves the topic.
pub async fn empty(brokers: &str, topic: &str, partitions: i32) {
    let mut offsets = TopicPartitionList::new();
    for partition in 0..partitions {
        offsets.add_partition_offset(topic, partition, Offset::End).unwrap();
    }
    let deleted = admin(brokers).delete_records(&offsets, &options()).await.unwrap();
    assert!(deleted.elements().iter().all(|element| element.error().is_ok()), "{deleted:?}");
}

/// Sets these and forgets all others.
pub async fn configure(brokers: &str, topic: &str, settings: &[(&str, &str)]) {
    let config = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let config = settings.iter().fold(config, |config, (key, value)| config.set(key, value));
    admin(brokers).alter_configs(&[config], &options()).await.unwrap().remove(0).unwrap();
}

/// The topic's settings as the broker says them.
pub async fn configuration(brokers: &str, topic: &str) -> HashMap<String, String> {
    let specifier = ResourceSpecifier::Topic(topic);
    let config = admin(brokers).describe_configs(&[specifier], &options()).await.unwrap().remove(0).unwrap();
    config.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

pub fn partitions(brokers: &str, topic: &str) -> usize {
    let consumer: BaseConsumer = client(brokers).create().unwrap();
    consumer.fetch_metadata(Some(topic), PATIENCE).unwrap().topics()[0].partitions().len()
}

/// Writes a record without a transaction; without a value if there is none.
pub async fn write(brokers: &str, topic: &str, key: &str, value: Option<&str>) {
    let producer: BaseProducer = client(brokers).create().unwrap();
    let record = BaseRecord::<str, str>::to(topic).partition(0).key(key);
    producer.send(value.into_iter().fold(record, BaseRecord::payload)).map_err(|(error, _)| error).unwrap();
    tokio::task::spawn_blocking(move || producer.flush(PATIENCE)).await.unwrap().unwrap();
}
