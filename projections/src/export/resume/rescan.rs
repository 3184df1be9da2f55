//! Finding exported events in the billing topic itself: the last one of all where the progress record is lost, the last ones of
//! single partitions where a transaction is torn.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tenure_event_log::Position;
use uuid::Uuid;

use crate::export::brokers::connection::Consumer;
use crate::export::pages::Anchor;
use crate::export::sending::record;

const POLL: Duration = Duration::from_millis(200);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How far before a known place the first look begins.
const FIRST_WINDOW: i64 = 64;

/// Why the topic gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RescanError {
    #[error("the billing topic can't be read")]
    Unavailable(#[from] KafkaError),
    #[error("it was given up")]
    GivenUp,
}

/// The committed event with the highest position that this cell exported to the topic. Reads it whole; blocks.
pub(crate) fn last_exported(
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
    let from = (0..partitions).map(|partition| (partition, Offset::Beginning)).collect();
    let mut last: Option<Anchor> = None;
    each_since(consumer, topic, &from, source, wanted, |_, found| {
        if last.is_none_or(|last| found.position > last.position) {
            last = Some(found);
        }
    })?;
    Ok(last)
}

/// An event where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub offset: i64,
    pub event: Anchor,
}

/// The last event that this cell exported to a partition, of those at or behind an offset that the consumer shows. Blocks.
pub(crate) fn last_since(
    consumer: &Consumer,
    topic: &str,
    partition: i32,
    offset: i64,
    source: &str,
    wanted: impl Fn() -> bool,
) -> Result<Option<Placed>, RescanError> {
    let mut last = None;
    let from = BTreeMap::from([(partition, Offset::Offset(offset))]);
    let looked = each_since(consumer, topic, &from, source, wanted, |offset, event| {
        last = Some(Placed { offset, event });
    });
    consumer.unassign()?;
    looked.map(|()| last)
}

/// The same, looked for farther and farther before the offset, up to the partition's beginning. Blocks.
pub(crate) fn last_around(
    consumer: &Consumer,
    topic: &str,
    partition: i32,
    offset: i64,
    source: &str,
    wanted: impl Fn() -> bool,
) -> Result<Option<Placed>, RescanError> {
    let (first, _) = consumer.fetch_watermarks(topic, partition, ANSWERS_WITHIN)?;
    let mut window = FIRST_WINDOW;
    loop {
        let from = offset.saturating_sub(window).max(first);
        let found = last_since(consumer, topic, partition, from, source, &wanted)?;
        if found.is_some() || from == first {
            return Ok(found);
        }
        window = window.saturating_mul(4);
    }
}

/// The lowest position among this cell's events that a partition has in these offsets, as the consumer sees it. Blocks.
pub(crate) fn lowest_within(
    consumer: &Consumer,
    topic: &str,
    partition: i32,
    offsets: RangeInclusive<i64>,
    source: &str,
    wanted: impl Fn() -> bool,
) -> Result<Option<Position>, RescanError> {
    let mut lowest: Option<Position> = None;
    let from = BTreeMap::from([(partition, Offset::Offset(*offsets.start()))]);
    let looked = each_since(consumer, topic, &from, source, wanted, |offset, event| {
        if offsets.contains(&offset) {
            lowest = Some(lowest.map_or(event.position, |lowest| lowest.min(event.position)));
        }
    });
    consumer.unassign()?;
    looked.map(|()| lowest)
}

/// Hands over every event that this cell exported to these partitions from these offsets on, with its offset.
fn each_since(
    consumer: &Consumer,
    topic: &str,
    from: &BTreeMap<i32, Offset>,
    source: &str,
    wanted: impl Fn() -> bool,
    mut seen: impl FnMut(i64, Anchor),
) -> Result<(), RescanError> {
    let mut assignment = TopicPartitionList::new();
    for (partition, offset) in from {
        assignment.add_partition_offset(topic, *partition, *offset)?;
    }
    consumer.assign(&assignment)?;
    let mut open: BTreeSet<i32> = from.keys().copied().collect();
    while !open.is_empty() {
        if !wanted() {
            return Err(RescanError::GivenUp);
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                if let Some(event) = exported_event(&message, source) {
                    seen(message.offset(), event);
                }
            }
            // Once more each time that somebody else writes to it meanwhile.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
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
