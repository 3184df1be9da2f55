//! Holding a topic against the log: are all events there, once, in order and unaltered?

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tenure_aggregates::TenantId;
use tenure_event_log::Position;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::brokers::connection::{Connection, Consumer};
use super::brokers::decided;
use super::brokers::topics;
use super::pages::{self, Found};
use super::resume::progress::{self, Progress};
use super::sending::record;
use super::settings::ExportSettings;
use crate::billing::DocumentError;
use crate::billing::comparison::{Comparison, Extent, Place, Report, TopicRecord};
use crate::view::View;
use crate::{QueryError, Views};

const POLL: Duration = Duration::from_millis(200);
/// A topic that says nothing for so long, not even that it ends, is given up; open transactions end before.
const SILENCE: Duration = Duration::from_secs(30);
/// Records that are looked up at once, and events that are read at once.
const BATCH: usize = 500;
/// Batches that wait to be compared.
const BATCHES: usize = 4;

/// Which events a topic should hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// Occurred then or later.
    pub from: Option<DateTime<Utc>>,
    /// Occurred before then.
    pub to: Option<DateTime<Utc>>,
    /// Only those of this customer.
    pub tenant: Option<TenantId>,
}

/// What a topic was found to hold.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What differs.
    pub report: Report,
    /// Up to where in the log.
    pub upto: Position,
    /// Where the export to the topic began; higher than 0 after somebody said so, and then what was before may be missing.
    pub since: Position,
}

/// Why a topic could not be held against the log.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name each field")]
pub enum CheckError {
    /// Neither made nor misspelt.
    #[error("there is no topic {topic}")]
    NoTopic { topic: String },
    /// The progress topic has no record of this cell.
    #[error("nothing was exported to {topic} yet")]
    NotExported { topic: String },
    /// The database was restored or is not the one that was exported.
    #[error("what was exported to {topic} is another log's: the progress in Kafka is of log {log_id}")]
    OtherLog { topic: String, log_id: uuid::Uuid },
    /// The brokers can't be used.
    #[error("Kafka can't be read")]
    Kafka(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer within [`SILENCE`].
    #[error("{topic} was not read to its end: no answer for {} seconds ({})", SILENCE.as_secs(), trouble.as_deref().unwrap_or("no error was reported"))]
    Silence { topic: String, trouble: Option<String> },
    /// The views can't be read.
    #[error(transparent)]
    Views(#[from] QueryError),
    /// The log's own event can't be written.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl CheckError {
    fn kafka(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Kafka(Box::new(error))
    }
}

/// Reads a topic to its end and compares it with a part of the log's events. The live topic is compared up to where the export
/// has got, others up to where the views have.
///
/// # Errors
/// [`CheckError`].
pub async fn check(
    settings: &ExportSettings,
    views: &Views,
    topic: &str,
    Part { from, to, tenant }: Part,
) -> Result<Checked, CheckError> {
    let connection = Connection::default();
    let consumer = Arc::new(connection.consumer(&settings.consumer()).map_err(CheckError::kafka)?);
    let described = async |name| partitions(settings, &connection, &consumer, name).await;
    let missing = || CheckError::NoTopic { topic: topic.to_owned() };
    let partitions = described(topic).await?.ok_or_else(missing)?;
    let shown = views.committed_position(View::Billing).await?;
    let is_live = topic == settings.topic;
    let (upto, since, replayed_upto) = if is_live {
        if described(&settings.progress_topic).await?.is_none() {
            return Err(CheckError::NotExported { topic: topic.to_owned() });
        }
        let progress = exported(settings, views, &consumer).await?;
        // What was before may have been replayed to it, before the export was told to go on there.
        let since = Position::new(progress.since);
        (shown.min(progress.position()), since, since)
    } else {
        (shown, Position::START, shown)
    };
    decided(settings, &connection, &consumer, topic, partitions).await?;
    let mut comparison = Comparison::new(Extent { upto, from, to, tenant, replayed_upto });
    let (batches, mut read) = mpsc::channel(BATCHES);
    let reader = tokio::task::spawn_blocking({
        let (topic, source) = (topic.to_owned(), settings.source());
        move || {
            let result = read_topic(&consumer, &connection, &topic, partitions, &source, &batches);
            // Nothing is fetched any more that nobody will look at.
            consumer.unassign().map_err(CheckError::kafka).and(result)
        }
    });
    while let Some(records) = read.recv().await {
        let events = pages::at(views, &comparison.look_up(&records)).await?;
        comparison.records(&records, &events)?;
    }
    reader.await.map_err(CheckError::kafka)??;
    let mut place = Position::START;
    while place < upto {
        let Found::Events { events, .. } = pages::after(views, place, None, BATCH).await? else { break };
        let Some(last) = events.last() else { break };
        place = last.position;
        comparison.events(&events);
    }
    Ok(Checked { report: comparison.finish(), upto, since })
}

/// How many partitions a topic has; `None` if there is no such topic.
async fn partitions(
    settings: &ExportSettings,
    connection: &Connection,
    consumer: &Arc<Consumer>,
    topic: &str,
) -> Result<Option<i32>, CheckError> {
    let admin = connection.admin(&settings.admin()).map_err(CheckError::kafka)?;
    let (consumer, name) = (Arc::clone(consumer), topic.to_owned());
    let described = move || Handle::current().block_on(topics::describe(&admin, &consumer, &name));
    let described = tokio::task::spawn_blocking(described).await.map_err(CheckError::kafka)?;
    Ok(described.map_err(CheckError::kafka)?.map(|found| found.partitions))
}

/// Resolves when the outcome of everything that is in the topic now is known: another cell's open transaction would hide what
/// stands behind it.
async fn decided(
    settings: &ExportSettings,
    connection: &Connection,
    consumer: &Arc<Consumer>,
    topic: &str,
    partitions: i32,
) -> Result<(), CheckError> {
    let all = connection.consumer(&settings.consumer_of_all()).map_err(CheckError::kafka)?;
    let (consumer, topic) = (Arc::clone(consumer), topic.to_owned());
    let within = settings.decided_within();
    let wait = move || decided::wait(&consumer, &all, &topic, partitions, within, || true);
    tokio::task::spawn_blocking(wait).await.map_err(CheckError::kafka)?.map_err(CheckError::kafka)
}

/// How far this log is exported to the live topic.
async fn exported(settings: &ExportSettings, views: &Views, consumer: &Arc<Consumer>) -> Result<Progress, CheckError> {
    let topic = settings.topic.clone();
    let (consumer, key) = (Arc::clone(consumer), settings.transactional_id());
    let progress_topic = settings.progress_topic.clone();
    let progress = tokio::task::spawn_blocking(move || progress::read(&consumer, &progress_topic, &key));
    let progress = progress.await.map_err(CheckError::kafka)?.map_err(CheckError::kafka)?;
    match progress.and_then(|last| last.progress).filter(|progress| progress.topic == topic) {
        None => Err(CheckError::NotExported { topic }),
        Some(Progress { log_id, .. }) if log_id != views.log().id() => Err(CheckError::OtherLog { topic, log_id }),
        Some(progress) => Ok(progress),
    }
}

/// Hands over this cell's committed records, each partition's in their order, until every partition has ended once. Blocks.
fn read_topic(
    consumer: &Consumer,
    connection: &Connection,
    topic: &str,
    partitions: i32,
    source: &str,
    batches: &mpsc::Sender<Vec<TopicRecord>>,
) -> Result<(), CheckError> {
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).map_err(CheckError::kafka)?;
    }
    consumer.assign(&assignment).map_err(CheckError::kafka)?;
    let mut open: BTreeSet<i32> = (0..partitions).collect();
    let (mut records, mut heard) = (Vec::with_capacity(BATCH), Instant::now());
    while !open.is_empty() {
        match consumer.poll(POLL) {
            None if heard.elapsed() < SILENCE => continue,
            None => {
                let trouble = connection.take_trouble();
                return Err(CheckError::Silence { topic: topic.to_owned(), trouble });
            }
            Some(Ok(message)) => records.extend(topic_record(&message, source)),
            // Markers of transactions take offsets too: only the consumer knows where the end is. It says so once more each
            // time that something is written meanwhile.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(CheckError::kafka(error)),
        }
        heard = Instant::now();
        // Whoever compares may have failed, and says why itself.
        if records.len() == BATCH
            && batches.blocking_send(std::mem::replace(&mut records, Vec::with_capacity(BATCH))).is_err()
        {
            return Ok(());
        }
    }
    let _ = batches.blocking_send(records);
    Ok(())
}

/// `None` for another cell's record.
fn topic_record(message: &BorrowedMessage<'_>, source: &str) -> Option<TopicRecord> {
    let text = |name: &str| record::header(message, name);
    // One without a source is nobody's, and so too many here.
    if text("ce_source").is_some_and(|other| other != source) {
        return None;
    }
    let key = message.key().and_then(|key| std::str::from_utf8(key).ok());
    Some(TopicRecord {
        place: Place { partition: message.partition(), offset: message.offset() },
        tenant_id: key.and_then(|key| key.parse().ok()),
        event_id: text("ce_id").and_then(|id| id.parse().ok()),
        position: text("ce_sequence").and_then(|sequence| sequence.parse().ok()),
        is_replay: text("ce_replayid").is_some(),
        payload: message.payload().map(<[u8]>::to_owned),
    })
}
