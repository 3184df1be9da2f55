//! Waiting until the outcome of every transaction in a topic is known to its readers.
//!
//! Who reads what is committed stops before the first transaction that is still open, whosever it is, and before one whose
//! end has not reached the partition yet. Taking that for the topic's end would overlook commits of our own behind it.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;

use super::connection::Consumer;

/// The brokers end a killed producer's transaction before.
const WITHIN: Duration = Duration::from_secs(30);
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
    #[error("a transaction in topic {topic} has been open for more than {} seconds", WITHIN.as_secs())]
    Late { topic: String },
    #[error("it was given up")]
    GivenUp,
}

/// Resolves when everything that is in the topic now is decided. `committed` sees what is committed, `all` everything.
/// Blocks.
pub(super) fn wait(
    committed: &Consumer,
    all: &Consumer,
    topic: &str,
    partitions: i32,
    wanted: impl Fn() -> bool,
) -> Result<(), UndecidedError> {
    let until = Instant::now() + WITHIN;
    let end = |consumer: &Consumer, partition| match consumer.fetch_watermarks(topic, partition, ANSWERS_WITHIN) {
        Ok((_, end)) => Ok(end),
        Err(error) => Err(UndecidedError::Unavailable { topic: topic.to_owned(), error }),
    };
    for partition in 0..partitions {
        let last = end(all, partition)?;
        while end(committed, partition)? < last {
            if !wanted() {
                return Err(UndecidedError::GivenUp);
            }
            if Instant::now() > until {
                return Err(UndecidedError::Late { topic: topic.to_owned() });
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}
