//! Where a replay may go: a topic of its own. A copy among the live events would be billed.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use super::super::brokers::connection::{Connection, Consumer};
use super::super::brokers::topics::{self, TopicError, Wanted};
use super::super::resume::ledger;
use super::super::settings::{ExportSettings, SOURCE};
use crate::{QueryError, Views};

const POLL: Duration = Duration::from_millis(100);
/// How long the look at one partition may take; a transaction that was left open ends before.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// Why a topic is not one to replay to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Billing exporters read it, or the export's own progress stands in it.
    #[error("{topic} is {what}: a replay goes to a topic of its own")]
    Live {
        /// The topic.
        topic: String,
        /// Whose it is.
        what: &'static str,
    },
    /// All but the last event of each tenant would be removed.
    #[error("topic {topic} is compacted, so that events would be lost: a replay needs cleanup.policy = delete")]
    Compacted {
        /// The topic.
        topic: String,
    },
    /// The brokers can't be asked, or don't make the topic.
    #[error("topic {topic} can't be looked at or made: {reason}")]
    Unusable {
        /// The topic.
        topic: String,
        /// What they say.
        reason: String,
    },
    /// Which topic is the live one can't be found out.
    #[error("the export's notes can't be read")]
    Notes(#[from] QueryError),
}

/// Refuses topics that live events go to; makes one that is not there, like the live one. Answers its partitions.
pub(super) async fn prepare(settings: &ExportSettings, views: &Views, topic: &str) -> Result<i32, TargetError> {
    let live = |what| Err(TargetError::Live { topic: topic.to_owned(), what });
    if topic == settings.topic {
        return live("the live billing topic");
    }
    if topic == settings.progress_topic {
        return live("the export's progress topic");
    }
    // The service may run with other settings than this command.
    if ledger::copy(views.store()).await?.is_some_and(|copy| copy.topic == topic) {
        return live("the live billing topic of the running export");
    }
    let (settings, name) = (settings.clone(), topic.to_owned());
    let unusable = |reason: String| TargetError::Unusable { topic: topic.to_owned(), reason };
    let made = tokio::task::spawn_blocking(move || Handle::current().block_on(make(&settings, &name)));
    made.await.map_err(|error| unusable(error.to_string()))?
}

async fn make(settings: &ExportSettings, topic: &str) -> Result<i32, TargetError> {
    let connection = Connection::default();
    let unusable = |error: TopicError| {
        let trouble = connection.take_trouble().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        TargetError::Unusable { topic: topic.to_owned(), reason: format!("{error}{trouble}") }
    };
    let broken = |error: KafkaError| unusable(error.into());
    let admin = connection.admin(&settings.admin()).map_err(broken)?;
    let consumer = connection.consumer(&settings.consumer()).map_err(broken)?;
    let Some(found) = topics::describe(&admin, &consumer, topic).await.map_err(unusable)? else {
        let wanted = Wanted { name: topic, ..settings.billing_topic() };
        topics::create(&admin, &consumer, &wanted).await.map_err(unusable)?;
        return Ok(settings.partitions);
    };
    if found.compacted {
        return Err(TargetError::Compacted { topic: topic.to_owned() });
    }
    for partition in 0..found.partitions {
        if begins_live(&consumer, topic, partition).map_err(broken)? {
            let what = "a topic that billing events were exported to live";
            return Err(TargetError::Live { topic: topic.to_owned(), what });
        }
    }
    Ok(found.partitions)
}

/// Whether the first record of a partition came from an export.
fn begins_live(consumer: &Consumer, topic: &str, partition: i32) -> Result<bool, KafkaError> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    let until = Instant::now() + READ_WITHIN;
    while Instant::now() < until {
        match consumer.poll(POLL) {
            Some(Ok(message)) => return Ok(is_live(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(false),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Err(KafkaError::Canceled)
}

/// Whether the export of any cell wrote it, and no replay.
fn is_live(message: &BorrowedMessage<'_>) -> bool {
    let Some(headers) = message.headers() else { return false };
    let has = |name: &str, begin: &[u8]| {
        headers.iter().any(|header| header.key == name && header.value.is_some_and(|value| value.starts_with(begin)))
    };
    has("ce_source", SOURCE.as_bytes()) && !has("ce_replayid", b"")
}
