//! Waiting until the outcome of every transaction in a topic is known to its readers.
//!
//! Who reads what is committed stops before the first transaction that is still open, whosever it is, and before one whose
//! end has not reached the partition yet. Taking that for the topic's end would overlook commits of our own behind it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Offset, TopicPartitionList};

use super::connection::Consumer;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UndecidedError {
    #[error("the brokers don't say where topic {topic} ends")]
    Unavailable {
        topic: String,
        #[source]
        error: KafkaError,
    },
    #[error("a transaction in topic {topic} has been open for more than {} seconds", within.as_secs())]
    Late { topic: String, within: Duration },
    #[error("it was given up")]
    GivenUp,
}

/// Resolves when everything that is in the topic now is decided. `committed` sees what is committed, `all` everything;
/// `within` is longer than the brokers let a killed producer's transaction stand. Blocks.
pub(crate) fn wait(
    committed: &Consumer,
    all: &Consumer,
    topic: &str,
    partitions: i32,
    within: Duration,
    wanted: impl Fn() -> bool,
) -> Result<(), UndecidedError> {
    let until = Instant::now() + within;
    for partition in 0..partitions {
        let last = end(all, topic, partition)?;
        while end(committed, topic, partition)? < last {
            if !wanted() {
                return Err(UndecidedError::GivenUp);
            }
            if Instant::now() > until {
                return Err(UndecidedError::Late { topic: topic.to_owned(), within });
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// Waits until readers of what is committed see past these offsets, each in its partition; the partitions where they still
/// don't after as long as no transaction should last. An offset that a partition has not reached is not hidden. Blocks.
pub(crate) fn hidden(
    committed: &Consumer,
    all: &Consumer,
    topic: &str,
    offsets: &BTreeMap<i32, i64>,
    within: Duration,
    wanted: impl Fn() -> bool,
) -> Result<Vec<i32>, UndecidedError> {
    let until = Instant::now() + within;
    loop {
        let mut hidden = Vec::new();
        for (partition, offset) in offsets {
            let stable = end(committed, topic, *partition)?;
            if stable <= *offset && stable < end(all, topic, *partition)? {
                hidden.push(*partition);
            }
        }
        if hidden.is_empty() || Instant::now() > until {
            return Ok(hidden);
        }
        if !wanted() {
            return Err(UndecidedError::GivenUp);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The partitions in which the first transaction that is open is one with a record that `is_ours`. Blocks.
pub(crate) fn open_of(
    committed: &Consumer,
    all: &Consumer,
    topic: &str,
    partitions: i32,
    is_ours: impl Fn(&BorrowedMessage<'_>) -> bool,
) -> Result<Vec<i32>, UndecidedError> {
    let mut ours = Vec::new();
    for partition in 0..partitions {
        let stable = end(committed, topic, partition)?;
        if stable < end(all, topic, partition)? && first_since(all, topic, partition, stable, &is_ours)? {
            ours.push(partition);
        }
    }
    Ok(ours)
}

/// Whether the first record from an offset on is ours. There readers of what is committed stop, so it is that of a transaction
/// that is open; or it was, a moment ago.
fn first_since(
    all: &Consumer,
    topic: &str,
    partition: i32,
    offset: i64,
    is_ours: &impl Fn(&BorrowedMessage<'_>) -> bool,
) -> Result<bool, UndecidedError> {
    let unavailable = |error| UndecidedError::Unavailable { topic: topic.to_owned(), error };
    let look = || {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        all.assign(&assignment)?;
        let until = Instant::now() + ANSWERS_WITHIN;
        loop {
            match all.poll(PAUSE) {
                Some(Ok(message)) => return Ok(is_ours(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(false),
                Some(Err(error)) => return Err(error),
                None if Instant::now() > until => {
                    return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
                }
                None => {}
            }
        }
    };
    let found = look().map_err(unavailable)?;
    all.unassign().map_err(unavailable)?;
    Ok(found)
}

fn end(consumer: &Consumer, topic: &str, partition: i32) -> Result<i64, UndecidedError> {
    match consumer.fetch_watermarks(topic, partition, ANSWERS_WITHIN) {
        Ok((_, end)) => Ok(end),
        Err(error) => Err(UndecidedError::Unavailable { topic: topic.to_owned(), error }),
    }
}
