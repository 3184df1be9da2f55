//! Waiting until the outcome of every transaction in a topic is known to its readers.
//!
//! Who reads what is committed stops before the first transaction that is still open, whosever it is, and before one whose
//! end has not reached the partition yet. Taking that for the topic's end would overlook commits of our own behind it.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;

use super::connection::Consumer;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub(super) enum UndecidedError {
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
pub(super) fn wait(
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

/// The partitions with something in them of which nobody knows yet whether it counts. Blocks.
pub(super) fn undecided(
    committed: &Consumer,
    all: &Consumer,
    topic: &str,
    partitions: i32,
) -> Result<Vec<i32>, UndecidedError> {
    let mut found = Vec::new();
    for partition in 0..partitions {
        if end(committed, topic, partition)? < end(all, topic, partition)? {
            found.push(partition);
        }
    }
    Ok(found)
}

fn end(consumer: &Consumer, topic: &str, partition: i32) -> Result<i64, UndecidedError> {
    match consumer.fetch_watermarks(topic, partition, ANSWERS_WITHIN) {
        Ok((_, end)) => Ok(end),
        Err(error) => Err(UndecidedError::Unavailable { topic: topic.to_owned(), error }),
    }
}
