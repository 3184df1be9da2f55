//! Finding the last exported event in the billing topic itself, where the progress record is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};
use tenure_event_log::Position;
use uuid::Uuid;

use super::connection::Consumer;
use super::pages::Anchor;
use super::record;

const POLL: Duration = Duration::from_millis(200);

/// Why the topic gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RescanError {
    #[error("the billing topic can't be read")]
    Unavailable(#[from] KafkaError),
    #[error("it was given up")]
    GivenUp,
}

/// The committed event with the highest position that this cell exported to the topic. Reads it whole; blocks.
pub(super) fn last_exported(
    consumer: &Consumer,
    topic: &str,
    partitions: i32,
    source: &str,
    wanted: impl Fn() -> bool,
) -> Result<Option<Anchor>, RescanError> {
    let found = read(consumer, topic, partitions, source, wanted);
    // Nothing is fetched any more that nobody will look at.
    consumer.unassign()?;
    found
}

fn read(
    consumer: &Consumer,
    topic: &str,
    partitions: i32,
    source: &str,
    wanted: impl Fn() -> bool,
) -> Result<Option<Anchor>, RescanError> {
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut last: Option<Anchor> = None;
    let mut open: BTreeSet<i32> = (0..partitions).collect();
    while !open.is_empty() {
        if !wanted() {
            return Err(RescanError::GivenUp);
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let further = exported_event(&message, source)
                    .filter(|found| last.is_none_or(|last| found.position > last.position));
                last = further.or(last);
            }
            // Once more each time that somebody else writes to it meanwhile.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(last)
}

/// The event that a record carries; `None` for records that are not this cell's export.
fn exported_event(message: &BorrowedMessage<'_>, source: &str) -> Option<Anchor> {
    let text = |name: &str| record::header(message, name);
    if text("ce_source") != Some(source) || text("ce_replayid").is_some() {
        return None;
    }
    let position = Position::new(text("ce_sequence")?.parse().ok()?);
    let event_id: Uuid = text("ce_id")?.parse().ok()?;
    Some(Anchor { position, event_id })
}
