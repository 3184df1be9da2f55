//! How far the export has got, as the progress topic says: the last record of this cell there counts, nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use tenure_event_log::Position;
use uuid::Uuid;

use super::written::Written;
use crate::export::brokers::connection::Consumer;

/// How far from the end the first look begins.
const FIRST_WINDOW: i64 = 64;
/// As far back as one looks for records that are not committed.
const NEWEST: i64 = 1_024;
/// How long a look may take; transactions left open by a killed producer end before.
const READ_WITHIN: Duration = Duration::from_secs(30);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

/// Up to where everything is exported. The value of a progress record, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// The log that was exported.
    pub log_id: Uuid,
    /// The last position of that log whose billing event, if it was one, is in the topic.
    pub position: u64,
    /// The id of the event at that position; `None` at position 0.
    pub event_id: Option<Uuid>,
    /// Where the export to this topic began; higher than 0 after somebody said so.
    pub since: u64,
    /// The billing topic.
    pub topic: String,
    /// How many partitions it had.
    pub partitions: i32,
    /// The last record of each partition that got one since the export to this topic began. Earlier releases did not say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<i32, Written>,
}

impl Progress {
    /// The position.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position::new(self.position)
    }

    /// Whether both are of one export of one log to one topic, since the same start.
    pub(crate) fn is_akin(&self, other: &Self) -> bool {
        self.log_id == other.log_id && self.since == other.since && other.is_of(&self.topic, self.partitions)
    }

    /// Whether it is that of a topic with this name and so many partitions.
    pub(crate) fn is_of(&self, topic: &str, partitions: i32) -> bool {
        self.topic == topic && self.partitions == partitions
    }
}

/// Why there is no telling how far the export has got.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgressError {
    #[error("the progress topic can't be read")]
    Unavailable(#[from] KafkaError),
    #[error("the end of the progress topic was not reached within {} seconds", READ_WITHIN.as_secs())]
    Late,
    #[error("the last record of the progress topic, at offset {offset}, is not a progress record")]
    Malformed {
        offset: i64,
        #[source]
        error: serde_json::Error,
    },
}

/// The last committed record of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub offset: i64,
    /// Nothing if somebody deleted it.
    pub progress: Option<Progress>,
}

/// The last committed record with this key; nothing if there is none. Blocks.
///
/// Markers of transactions take offsets too and are never handed over, so the end is where the consumer says that it is:
/// who counts up to the high watermark waits for ever.
pub(crate) fn read(consumer: &Consumer, topic: &str, key: &str) -> Result<Option<Recorded>, ProgressError> {
    let until = Instant::now() + READ_WITHIN;
    let (low, high) = consumer.fetch_watermarks(topic, 0, ANSWERS_WITHIN)?;
    let mut window = FIRST_WINDOW;
    loop {
        let from = high.saturating_sub(window).max(low);
        let found = last_since(consumer, topic, key, from, until);
        // Nothing is fetched any more that nobody will look at.
        consumer.unassign()?;
        match found? {
            Some(Last { offset, payload }) => {
                let progress = payload.map(|payload| serde_json::from_slice(&payload)).transpose();
                return match progress {
                    Ok(progress) => Ok(Some(Recorded { offset, progress })),
                    Err(error) => Err(ProgressError::Malformed { offset, error }),
                };
            }
            None if from <= low => return Ok(None),
            None => {}
        }
        window = window.saturating_mul(2);
    }
}

/// What the records with this key say that came after the last committed one and so are not committed, of the newest. The
/// consumer sees everything. Blocks.
pub(crate) fn uncommitted(
    consumer: &Consumer,
    topic: &str,
    key: &str,
    last: Option<i64>,
) -> Result<Vec<Progress>, ProgressError> {
    let until = Instant::now() + READ_WITHIN;
    let (low, high) = consumer.fetch_watermarks(topic, 0, ANSWERS_WITHIN)?;
    let from = last.map_or(low, |last| last + 1).max(high.saturating_sub(NEWEST));
    let mut found = Vec::new();
    let looked = each_since(consumer, topic, key, from, until, |_, payload| {
        found.extend(payload.and_then(|payload| serde_json::from_slice(payload).ok()));
    });
    consumer.unassign()?;
    looked.map(|()| found)
}

struct Last {
    offset: i64,
    payload: Option<Vec<u8>>,
}

fn last_since(
    consumer: &Consumer,
    topic: &str,
    key: &str,
    from: i64,
    until: Instant,
) -> Result<Option<Last>, ProgressError> {
    let mut last = None;
    each_since(consumer, topic, key, from, until, |offset, payload| {
        last = Some(Last { offset, payload: payload.map(<[u8]>::to_owned) });
    })?;
    Ok(last)
}

/// Hands over the offset and payload of every record with this key from an offset on.
fn each_since(
    consumer: &Consumer,
    topic: &str,
    key: &str,
    from: i64,
    until: Instant,
    mut seen: impl FnMut(i64, Option<&[u8]>),
) -> Result<(), ProgressError> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Offset(from))?;
    consumer.assign(&assignment)?;
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.key() == Some(key.as_bytes()) => seen(message.offset(), message.payload()),
            // Another cell's.
            Some(Ok(_)) | None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) => return Err(error.into()),
        }
        if Instant::now() > until {
            return Err(ProgressError::Late);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            log_id: Uuid::from_u128(1),
            position: 7,
            event_id: Some(Uuid::from_u128(2)),
            since: 0,
            topic: "tenure.billing.v1".to_owned(),
            partitions: 6,
            written: BTreeMap::from([(3, Written { offset: 12, position: 7 })]),
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let json = serde_json::to_string(&progress()).unwrap();
        assert!(json.ends_with(r#","written":{"3":{"offset":12,"position":7}}}"#), "{json}");
        assert_eq!(serde_json::from_str::<Progress>(&json).unwrap(), progress());
    }

    #[test]
    fn a_record_of_an_earlier_release_says_nothing_about_places() {
        let earlier = r#"{"logId":"00000000-0000-0000-0000-000000000001","position":7,
            "eventId":"00000000-0000-0000-0000-000000000002","since":0,"topic":"tenure.billing.v1","partitions":6}"#;
        let read: Progress = serde_json::from_str(earlier).unwrap();
        assert_eq!(read, Progress { written: BTreeMap::new(), ..progress() });
        assert!(!serde_json::to_string(&read).unwrap().contains("written"));
    }
}
