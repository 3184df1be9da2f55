//! From where to export: what the brokers and the log say, weighed against each other.
//!
//! Whenever they disagree, going on would lose or double a bill: then the export stops, and somebody has to say what to do.

use std::fmt;

use tenure_event_log::Position;
use uuid::Uuid;

use super::progress::Progress;
use super::torn::Torn;
use super::written::{Missing, Written};
use crate::export::brokers::topics::Topic;

/// What is known before the first event is sent.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub log_id: Uuid,
    pub head: Position,
    /// The event that the log has at the progress's position.
    pub event_there: Option<Uuid>,
    /// What the progress topic says.
    pub progress: Option<Progress>,
    /// The offset of its last record, if nobody knows what that says.
    pub scribble: Option<i64>,
    /// What the database remembers of it; may be older.
    pub copy: Option<Progress>,
    pub billing_topic: Option<Topic>,
    /// A record that was written to the billing topic and is not where it was.
    pub missing: Option<Missing>,
    /// How far readers have come where they have seen a part of a transaction.
    pub torn: Option<Torn>,
    /// The event that the log has at the position up to which they have.
    pub event_ahead: Option<Uuid>,
}

/// Why nobody but the operator can say where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The database remembers progress, and the progress topic has none.
    ProgressLost {
        /// The position that the database remembers.
        copy: u64,
    },
    /// The last record of the progress topic is none that this release, or any, has written.
    ProgressUnreadable {
        /// Where it is.
        offset: i64,
    },
    /// There are records in the billing topic, and no progress anywhere.
    ProgressUnknown,
    /// The progress topic is behind what the database remembers.
    ProgressBehind {
        /// The position in the progress topic.
        progress: u64,
        /// The position that the database remembers.
        copy: u64,
    },
    /// Progress was made, and the billing topic is not there.
    TopicAbsent,
    /// Progress was made, and the billing topic has no record.
    TopicEmpty,
    /// The last record of a partition is not where it was written.
    RecordMissing {
        /// The partition of the billing topic.
        partition: i32,
        /// Its offset there.
        offset: i64,
        /// Its event's position in the log.
        position: u64,
    },
    /// The billing topic has another number of partitions than before, so keys lie elsewhere.
    PartitionsChanged {
        /// How many there were.
        before: i32,
        /// How many there are.
        now: i32,
    },
    /// The progress is that of another billing topic.
    OtherTopic {
        /// Its name.
        before: String,
    },
    /// The progress is that of another log.
    OtherLog,
    /// The log is shorter than what was exported.
    PastTheHead {
        /// The position in the progress topic.
        progress: u64,
        /// The log's last position.
        head: u64,
    },
    /// The log has another event where the export ended.
    OtherEvent {
        /// The position.
        position: u64,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProgressLost { copy } => {
                write!(f, "the progress topic has no record, but position {copy} was exported already")
            }
            Self::ProgressUnreadable { offset } => {
                write!(f, "the last record of the progress topic, at offset {offset}, is not a progress record")
            }
            Self::ProgressUnknown => f.write_str("the billing topic has records, but no progress is recorded"),
            Self::ProgressBehind { progress, copy } => write!(
                f,
                "the progress topic says position {progress}, but position {copy} was exported already: it lost records"
            ),
            Self::TopicAbsent => f.write_str("the billing topic is gone, though events were exported to it"),
            Self::TopicEmpty => f.write_str("the billing topic is empty, though events were exported to it"),
            Self::RecordMissing { partition, offset, position } => write!(
                f,
                "the billing topic does not have the event of position {position} at offset {offset} of partition {partition}, \
                 where it was exported to: was the topic made anew, or did it lose records?"
            ),
            Self::PartitionsChanged { before, now } => {
                write!(
                    f,
                    "the billing topic has {now} partitions and had {before}: a tenant's events would lose their order"
                )
            }
            Self::OtherTopic { before } => write!(f, "the progress is that of another billing topic, {before}"),
            Self::OtherLog => {
                f.write_str("the progress is that of another log: does this database belong to these brokers?")
            }
            Self::PastTheHead { progress, head } => write!(
                f,
                "position {progress} was exported, but the log ends at {head}: was the database restored from a backup?"
            ),
            Self::OtherEvent { position } => write!(
                f,
                "the log has another event at position {position} than was exported: was the database restored from a backup?"
            ),
        }
    }
}

/// After which event to go on; `None` from the log's beginning.
///
/// # Errors
/// [`Doubt`], when no answer is safe.
pub(crate) fn weigh(evidence: &Evidence, topic: &str) -> Result<Option<Progress>, Doubt> {
    let Evidence { log_id, head, event_there, event_ahead, progress, scribble, copy, billing_topic, missing, torn } =
        evidence;
    if let Some(offset) = *scribble {
        return Err(Doubt::ProgressUnreadable { offset });
    }
    let Some(progress) = progress else {
        return match (copy, billing_topic) {
            (Some(copy), _) => Err(Doubt::ProgressLost { copy: copy.position }),
            (None, Some(Topic { empty: false, .. })) => Err(Doubt::ProgressUnknown),
            (None, Some(Topic { empty: true, .. }) | None) => Ok(None),
        };
    };
    if progress.log_id != *log_id {
        return Err(Doubt::OtherLog);
    }
    if progress.topic != topic {
        return Err(Doubt::OtherTopic { before: progress.topic.clone() });
    }
    // A copy of another topic's progress says nothing about this one's.
    if let Some(copy) = copy
        && copy.log_id == *log_id
        && copy.topic == topic
        && copy.position > progress.position
    {
        return Err(Doubt::ProgressBehind { progress: progress.position, copy: copy.position });
    }
    let Some(billing) = billing_topic else { return Err(Doubt::TopicAbsent) };
    if billing.partitions != progress.partitions {
        return Err(Doubt::PartitionsChanged { before: progress.partitions, now: billing.partitions });
    }
    if progress.position > head.get() {
        return Err(Doubt::PastTheHead { progress: progress.position, head: head.get() });
    }
    if progress.event_id != *event_there {
        return Err(Doubt::OtherEvent { position: progress.position });
    }
    if billing.empty && progress.position > progress.since {
        return Err(Doubt::TopicEmpty);
    }
    if let Some(Missing { partition, record: Written { offset, position } }) = *missing {
        return Err(Doubt::RecordMissing { partition, offset, position });
    }
    if let Some(ahead) = torn.as_ref().and_then(|torn| torn.ahead) {
        if ahead.position > *head {
            return Err(Doubt::PastTheHead { progress: ahead.position.get(), head: head.get() });
        }
        if *event_ahead != Some(ahead.event_id) {
            return Err(Doubt::OtherEvent { position: ahead.position.get() });
        }
    }
    Ok(Some(progress.clone()))
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
