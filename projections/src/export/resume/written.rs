//! Whether the billing topic still is the one that was written to: the last record of each partition stands where it was put.
//!
//! A topic that was removed and made anew has the same name, and takes records as if nothing had been. Its offsets begin
//! anew, which is what tells it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::export::brokers::connection::Consumer;
use crate::export::sending::record;

const WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// The last record that a partition got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Where it stands in the partition.
    pub offset: i64,
    /// Where its event stands in the log.
    pub position: u64,
}

/// A record that is not where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub partition: i32,
    pub record: Written,
}

/// Why nobody knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrittenError {
    #[error("the billing topic can't be read")]
    Unavailable(#[from] KafkaError),
    #[error("the last records of the billing topic were not found within {} seconds", WITHIN.as_secs())]
    Late,
    #[error("it was given up")]
    GivenUp,
}

/// Where it was written, and by whom.
pub(crate) struct Place<'a> {
    pub topic: &'a str,
    /// `ce_source`.
    pub source: &'a str,
    /// Whether records go when they are old enough.
    pub expires: bool,
}

/// Those of the records that the consumer does not find: with one that sees everything, records that are gone; with one that
/// sees what is committed, aborted ones, too. Nothing else has both the offset and the position, not even an aborted record,
/// since those that come later have higher positions. Blocks.
pub(crate) fn missing(
    consumer: &Consumer,
    place: &Place<'_>,
    written: &BTreeMap<i32, Written>,
    wanted: impl Fn() -> bool,
) -> Result<Vec<Missing>, WrittenError> {
    if written.is_empty() {
        return Ok(Vec::new());
    }
    let found = look(consumer, place, written, wanted);
    // Nothing is fetched any more that nobody will look at.
    consumer.unassign()?;
    found
}

fn look(
    consumer: &Consumer,
    place: &Place<'_>,
    written: &BTreeMap<i32, Written>,
    wanted: impl Fn() -> bool,
) -> Result<Vec<Missing>, WrittenError> {
    let mut assignment = TopicPartitionList::new();
    for (partition, record) in written {
        assignment.add_partition_offset(place.topic, *partition, Offset::Offset(record.offset))?;
    }
    consumer.assign(&assignment)?;
    let (mut open, mut missing, until) = (written.clone(), Vec::new(), Instant::now() + WITHIN);
    while !open.is_empty() {
        if !wanted() {
            return Err(WrittenError::GivenUp);
        }
        if Instant::now() > until {
            return Err(WrittenError::Late);
        }
        // The first thing that a partition says decides.
        let (partition, there) = match consumer.poll(POLL) {
            None => continue,
            Some(Ok(message)) => {
                let partition = message.partition();
                let Some(record) = open.get(&partition) else { continue };
                (partition, is_it(&message, place, *record))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => (partition, false),
            Some(Err(error)) => return Err(error.into()),
        };
        let Some(record) = open.remove(&partition) else { continue };
        if !there && !is_expired(consumer, place, partition, record)? {
            missing.push(Missing { partition, record });
        }
    }
    Ok(missing)
}

/// Whether a record is the one. (One before it is what a consumer gets that asks for an offset past the end.)
fn is_it(message: &BorrowedMessage<'_>, place: &Place<'_>, record: Written) -> bool {
    message.offset() == record.offset
        && record::header(message, "ce_source") == Some(place.source)
        && record::header(message, "ce_sequence").and_then(|position| position.parse().ok()) == Some(record.position)
}

/// Whether a record is gone for its age.
fn is_expired(consumer: &Consumer, place: &Place<'_>, partition: i32, record: Written) -> Result<bool, WrittenError> {
    let (first, _) = consumer.fetch_watermarks(place.topic, partition, ANSWERS_WITHIN)?;
    Ok(place.expires && first > record.offset)
}
