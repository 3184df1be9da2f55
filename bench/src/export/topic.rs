//! The records of a topic, and a plain producer that sends the same bytes: what the export is compared with.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tenure_projections::export::ExportSettings;

const POLL: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(1);
const READ_WITHIN: Duration = Duration::from_mins(5);

/// A record as it is sent: key, value and headers, without a copy of the headers' names.
pub struct Kept {
    key: Box<[u8]>,
    payload: Box<[u8]>,
    headers: Vec<(&'static str, Box<[u8]>)>,
}

/// The headers there are.
const NAMES: [&str; 9] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_sequence",
    "ce_dataschema",
    "content-type",
];

impl Kept {
    fn of(message: &BorrowedMessage<'_>) -> anyhow::Result<Self> {
        let headers = message.headers().context("no headers")?.iter().map(|header| {
            let name = NAMES.into_iter().find(|name| *name == header.key).context("an unknown header")?;
            Ok((name, header.value.unwrap_or_default().into()))
        });
        Ok(Self {
            key: message.key().unwrap_or_default().into(),
            payload: message.payload().unwrap_or_default().into(),
            headers: headers.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Its bytes, Kafka's own framing not counted.
    pub fn len(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + self.payload.len() + headers
    }

    fn sequence(&self) -> &[u8] {
        self.headers.iter().find(|(name, _)| *name == "ce_sequence").map_or(&[], |(_, value)| value)
    }
}

/// A consumer that has the whole topic and sees what is committed.
pub fn consumer(settings: &ExportSettings, topic: &str, from: Offset) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = settings.consumer().create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..settings.partitions {
        assignment.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

/// Everything that a read-committed consumer gets, in the order of the log.
pub fn read(settings: &ExportSettings, topic: &str) -> anyhow::Result<Vec<Kept>> {
    let consumer = consumer(settings, topic, Offset::Beginning)?;
    let (mut records, mut open, until) = (Vec::new(), settings.partitions, Instant::now() + READ_WITHIN);
    while open > 0 {
        ensure!(Instant::now() < until, "the end of {topic} is not reached");
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => records.push(Kept::of(&message)?),
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
        }
    }
    records.sort_by(|one, other| one.sequence().cmp(other.sequence()));
    Ok(records)
}

/// Sends the same bytes to a topic of the same shape, as fast as an idempotent producer does; how long until the last of
/// them was acknowledged.
pub fn send(settings: &ExportSettings, topic: &str, records: &[Kept]) -> anyhow::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let admin: AdminClient<DefaultClientContext> = settings.admin().create()?;
    let made = NewTopic::new(topic, settings.partitions, TopicReplication::Fixed(1));
    for answer in runtime.block_on(admin.create_topics(&[made], &AdminOptions::new()))? {
        if let Err((name, code)) = answer {
            bail!("the topic {name} can't be made: {code}");
        }
    }
    let producer: BaseProducer = settings.idempotent_producer().create()?;
    // It knows the topic before the clock runs.
    producer.client().fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let began = Instant::now();
    for Kept { key, payload, headers } in records {
        let headers = headers.iter().fold(OwnedHeaders::new_with_capacity(NAMES.len()), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(&**value) })
        });
        let mut record = BaseRecord::to(topic).key(&**key).payload(&**payload).headers(headers);
        while let Err((error, rejected)) = producer.send(record) {
            ensure!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
            record = rejected;
            producer.poll(PAUSE);
        }
    }
    while producer.in_flight_count() > 0 {
        producer.poll(PAUSE);
    }
    Ok(began.elapsed())
}
