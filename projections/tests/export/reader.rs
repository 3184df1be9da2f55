//! Somebody outside who reads what is committed, with librdkafka's plain consumer and nothing of the export's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Headers;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// Longer than a killed producer's transaction stays open.
const READ_WITHIN: Duration = Duration::from_mins(1);

/// A record as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
    pub payload: Option<Vec<u8>>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or_else(|| panic!("no {name}: {self:?}"), |(_, value)| value.as_str())
    }
}

fn consumer(brokers: &str, isolation: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "an-outside-reader").set("isolation.level", isolation);
    config.set("enable.partition.eof", "true").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    // The end is said only after that time.
    config.set("fetch.wait.max.ms", "50");
    config.create().unwrap()
}

/// Everything committed in a topic, each partition in its order, up to the end of the last one.
pub async fn read(brokers: &str, topic: &str) -> Vec<Seen> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || read_whole(&brokers, &topic)).await.unwrap()
}

fn read_whole(brokers: &str, topic: &str) -> Vec<Seen> {
    let until = Instant::now() + READ_WITHIN;
    let [consumer, all] = both(brokers);
    // A commit is acknowledged before its end stands in every partition: till then readers stop before its records.
    while open_records(&consumer, &all, topic) > 0 {
        assert!(Instant::now() < until, "a transaction in {topic} does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let partitions = partitions(&consumer, topic);
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let mut open: BTreeSet<i32> = (0..partitions).collect();
    let mut seen = Vec::new();
    while !open.is_empty() {
        assert!(Instant::now() < until, "partitions {open:?} of {topic} have no end");
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => seen.push(as_seen(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => panic!("{topic} can't be read: {error}"),
        }
    }
    seen.sort_by_key(|record| (record.partition, record.offset));
    seen
}

fn as_seen(message: &impl Message) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    let header = |header: rdkafka::message::Header<'_, &[u8]>| {
        (header.key.to_owned(), header.value.map_or_else(|| panic!("{} is null", header.key), text))
    };
    Seen {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text),
        headers: message.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default(),
        payload: message.payload().map(<[u8]>::to_owned),
    }
}

/// Asks, and so never makes a topic.
fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWERS_WITHIN).unwrap();
    let count = metadata.topics()[0].partitions().len();
    assert!(count > 0, "there is no topic {topic}");
    i32::try_from(count).unwrap()
}

/// How many records of a topic wait for the end of a transaction: readers of what is committed can't get past them.
pub async fn undecided(brokers: &str, topic: &str) -> i64 {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    let look = move || {
        let [committed, all] = both(&brokers);
        open_records(&committed, &all, &topic)
    };
    tokio::task::spawn_blocking(look).await.unwrap()
}

/// One that reads what is committed, and one that reads everything.
fn both(brokers: &str) -> [BaseConsumer; 2] {
    ["read_committed", "read_uncommitted"].map(|isolation| consumer(brokers, isolation))
}

fn open_records(committed: &BaseConsumer, all: &BaseConsumer, topic: &str) -> i64 {
    let high =
        |consumer: &BaseConsumer, partition| consumer.fetch_watermarks(topic, partition, ANSWERS_WITHIN).unwrap().1;
    let partitions = 0..partitions(all, topic);
    partitions.map(|partition| high(all, partition) - high(committed, partition)).sum()
}
