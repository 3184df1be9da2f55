//! What a consumer of billing events sees of a topic: everything that is committed, in each partition's order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const POLL: Duration = Duration::from_millis(100);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long reading a topic to its end may take.
const READ_WITHIN: Duration = Duration::from_mins(2);

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: String,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its value.
    pub payload: String,
}

impl Record {
    /// A header's value, empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Reads a topic to its end, partition by partition. Blocks.
///
/// # Errors
/// There is no such topic, the brokers don't answer, or a record is no text.
pub fn read(brokers: &str, topic: &str) -> anyhow::Result<Vec<Record>> {
    let [consumer, all] = [consumer(brokers, "read_committed")?, consumer(brokers, "read_uncommitted")?];
    let Some(partitions) = partitions_of(&consumer, topic)? else { bail!("there is no topic {topic}") };
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    let until = Instant::now() + READ_WITHIN;
    // A commit is acknowledged before its end stands in every partition, and brokers that die then take their time.
    while !is_decided(&consumer, &all, topic, partitions)? {
        if Instant::now() > until {
            bail!("a transaction in {topic} does not end");
        }
        std::thread::sleep(POLL);
    }
    consumer.assign(&assignment)?;
    let (mut records, mut open) = (Vec::new(), partitions);
    while open > 0 {
        if Instant::now() > until {
            bail!("the end of {topic} is not reached");
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => records.push(record(&message)?),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error).context("reading a topic"),
        }
    }
    records.sort_by_key(|record: &Record| (record.partition, record.offset));
    Ok(records)
}

fn consumer(brokers: &str, isolation: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "nobody").set("isolation.level", isolation);
    config.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    Ok(config.set("enable.partition.eof", "true").create()?)
}

/// Whether readers of what is committed see everything that a topic has. Blocks.
fn is_decided(committed: &BaseConsumer, all: &BaseConsumer, topic: &str, partitions: i32) -> anyhow::Result<bool> {
    for partition in 0..partitions {
        let end = |consumer: &BaseConsumer| consumer.fetch_watermarks(topic, partition, ANSWERS_WITHIN);
        if end(committed)?.1 < end(all)?.1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many partitions a topic has; `None` if there is none of this name. Blocks.
///
/// # Errors
/// The brokers don't answer.
pub fn partitions(brokers: &str, topic: &str) -> anyhow::Result<Option<i32>> {
    partitions_of(&ClientConfig::new().set("bootstrap.servers", brokers).create()?, topic)
}

fn partitions_of(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Option<i32>> {
    // Of all topics: asking for one by name could make it.
    let metadata = consumer.fetch_metadata(None, ANSWERS_WITHIN)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    Ok(found.map(|found| i32::try_from(found.partitions().len())).transpose()?)
}

fn record(message: &BorrowedMessage<'_>) -> anyhow::Result<Record> {
    let text = |bytes: Option<&[u8]>| anyhow::Ok(std::str::from_utf8(bytes.context("no value")?)?.to_owned());
    let mut headers = BTreeMap::new();
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        headers.insert(header.key.to_owned(), text(header.value)?);
    }
    Ok(Record {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key())?,
        headers,
        payload: text(message.payload())?,
    })
}
