//! The two topics: what they are, what they should be, and making them.
//!
//! They are made here and never by the brokers, which would choose partitions and copies of their own.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::connection::{Admin, Consumer};
use crate::export::settings::ExportSettings;

/// How long the brokers may take to answer a question.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a new topic may take until every partition has a leader.
const MADE_WITHIN: Duration = Duration::from_secs(30);

/// A topic as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub partitions: i32,
    /// The fewest copies that a partition has.
    pub replication: i32,
    /// Whether nothing was ever written to it, or nothing of it is left though it keeps everything.
    pub empty: bool,
    pub compacted: bool,
    pub retention_ms: i64,
    pub min_insync_replicas: i32,
}

/// What a topic should be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub name: &'a str,
    pub partitions: i32,
    pub replication: i32,
    pub min_insync_replicas: i32,
    /// `None`: compacted, the last record of a key stays.
    pub retention_ms: Option<i64>,
}

/// Why a topic could not be asked for or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicError {
    #[error("the brokers did not answer")]
    Unavailable(#[from] KafkaError),
    #[error("the topic {name} can't be made: {reason}")]
    NotMade { name: String, reason: String },
}

impl ExportSettings {
    pub(crate) fn billing_topic(&self) -> Wanted<'_> {
        Wanted {
            name: &self.topic,
            partitions: self.partitions,
            replication: self.replication,
            min_insync_replicas: self.min_insync_replicas,
            retention_ms: Some(self.retention_ms),
        }
    }

    pub(crate) fn progress_topic(&self) -> Wanted<'_> {
        Wanted { name: &self.progress_topic, partitions: 1, retention_ms: None, ..self.billing_topic() }
    }
}

impl Wanted<'_> {
    /// What about a topic contradicts the settings: one sentence, or nothing.
    pub fn contradiction(&self, topic: &Topic) -> Option<String> {
        let name = self.name;
        let differs = |what: &str, is: i64, wanted: i64, setting: &str| {
            (is != wanted).then(|| format!("topic {name} has {what} = {is}, {setting} says {wanted}"))
        };
        let partitions = i64::from(topic.partitions);
        let kind = if let Some(retention) = self.retention_ms {
            let compacted = topic.compacted.then(|| {
                format!("topic {name} is compacted, so that events would be lost: set cleanup.policy to delete")
            });
            compacted
                .or_else(|| differs("partitions", partitions, self.partitions.into(), "kafka_partitions"))
                .or_else(|| differs("retention.ms", topic.retention_ms, retention, "kafka_retention_ms"))
        } else {
            let kept = "so that the exporter's place would be lost: set cleanup.policy to compact";
            let not_compacted = (!topic.compacted).then(|| format!("topic {name} is not compacted, {kept}"));
            let parted = (partitions != 1).then(|| format!("topic {name} has {partitions} partitions, it needs 1"));
            not_compacted.or(parted)
        };
        kind.or_else(|| {
            let (is, wanted) = (topic.replication, self.replication);
            (is < wanted).then(|| format!("topic {name} has {is} copies, kafka_replication says {wanted}"))
        })
        .or_else(|| {
            let (is, wanted) = (topic.min_insync_replicas, self.min_insync_replicas);
            let says = "kafka_min_insync_replicas says";
            (is < wanted).then(|| format!("topic {name} has min.insync.replicas = {is}, {says} {wanted}"))
        })
    }
}

/// Asks the brokers about a topic; `None` if there is none of this name.
pub(crate) async fn describe(admin: &Admin, consumer: &Consumer, name: &str) -> Result<Option<Topic>, TopicError> {
    let options = AdminOptions::new().request_timeout(Some(ANSWERS_WITHIN));
    // Asked of the configuration first: a question for metadata could make the topic.
    let mut answers = admin.describe_configs(&[ResourceSpecifier::Topic(name)], &options).await?;
    let config = match answers.pop() {
        Some(Ok(config)) => config,
        Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) => return Ok(None),
        Some(Err(code)) => return Err(KafkaError::AdminOp(code).into()),
        None => return Err(KafkaError::Canceled.into()),
    };
    let values: HashMap<&str, &str> =
        config.entries.iter().filter_map(|entry| Some((entry.name.as_str(), entry.value.as_deref()?))).collect();
    let number = |key: &str, otherwise: i64| values.get(key).and_then(|value| value.parse().ok()).unwrap_or(otherwise);
    let retention_ms = number("retention.ms", -1);
    let Some((partitions, replication)) = layout(consumer, name)? else { return Ok(None) };
    let mut empty = true;
    for partition in 0..partitions {
        let (low, high) = consumer.fetch_watermarks(name, partition, ANSWERS_WITHIN)?;
        // What was once written may be gone for its age; where everything is kept, it was removed.
        empty &= if retention_ms < 0 { low == high } else { high == 0 };
    }
    Ok(Some(Topic {
        partitions,
        replication,
        empty,
        compacted: values.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
        retention_ms,
        min_insync_replicas: i32::try_from(number("min.insync.replicas", 1)).unwrap_or(i32::MAX),
    }))
}

/// How many partitions a topic has, and how many copies the one with the fewest.
fn layout(consumer: &Consumer, name: &str) -> Result<Option<(i32, i32)>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(name), ANSWERS_WITHIN)?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(None) };
    if let Some(error) = topic.error() {
        return match RDKafkaErrorCode::from(error) {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Ok(None),
            code => Err(KafkaError::MetadataFetch(code)),
        };
    }
    let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let copies = topic.partitions().iter().map(|partition| count(partition.replicas().len())).min().unwrap_or(0);
    Ok(Some((count(topic.partitions().len()), copies)))
}

/// Makes a topic and waits until the brokers can be written to.
pub(crate) async fn create(admin: &Admin, consumer: &Consumer, wanted: &Wanted<'_>) -> Result<(), TopicError> {
    let insync = wanted.min_insync_replicas.to_string();
    let retention = wanted.retention_ms.map(|retention| retention.to_string());
    let mut topic = NewTopic::new(wanted.name, wanted.partitions, TopicReplication::Fixed(wanted.replication))
        .set("min.insync.replicas", &insync);
    topic = match &retention {
        Some(retention) => topic.set("cleanup.policy", "delete").set("retention.ms", retention),
        None => topic.set("cleanup.policy", "compact"),
    };
    let options = AdminOptions::new().operation_timeout(Some(ANSWERS_WITHIN)).request_timeout(Some(ANSWERS_WITHIN));
    for answer in admin.create_topics(&[topic], &options).await? {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(TopicError::NotMade { name, reason: code.to_string() }),
        }
    }
    let until = tokio::time::Instant::now() + MADE_WITHIN;
    while !is_led(consumer, wanted.name)? {
        if tokio::time::Instant::now() > until {
            let reason = format!("it has no leader after {} seconds", MADE_WITHIN.as_secs());
            return Err(TopicError::NotMade { name: wanted.name.to_owned(), reason });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Whether every partition has a leader.
fn is_led(consumer: &Consumer, name: &str) -> Result<bool, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(name), ANSWERS_WITHIN)?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
    Ok(topic.is_some_and(|topic| {
        !topic.partitions().is_empty() && topic.partitions().iter().all(|partition| partition.leader() >= 0)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (ExportSettings, Topic) {
        let settings = ExportSettings::new(vec!["localhost:9092".to_owned()]);
        let topic = Topic {
            partitions: 6,
            replication: 1,
            empty: true,
            compacted: false,
            retention_ms: -1,
            min_insync_replicas: 1,
        };
        (settings, topic)
    }

    #[test]
    fn a_topic_as_the_settings_say_contradicts_nothing() {
        let (settings, topic) = made();
        assert_eq!(settings.billing_topic().contradiction(&topic), None);
        let progress = Topic { partitions: 1, compacted: true, ..topic };
        assert_eq!(settings.progress_topic().contradiction(&progress), None);
    }

    #[test]
    fn more_copies_than_wanted_are_welcome() {
        let (settings, topic) = made();
        assert_eq!(
            settings.billing_topic().contradiction(&Topic { replication: 3, min_insync_replicas: 2, ..topic }),
            None
        );
    }

    #[test]
    fn what_contradicts_is_named_with_its_setting() {
        let (mut settings, topic) = made();
        (settings.replication, settings.min_insync_replicas) = (3, 2);
        let says = |topic: Topic| settings.billing_topic().contradiction(&topic).unwrap_or_default();
        assert!(says(Topic { partitions: 3, ..topic.clone() }).contains("kafka_partitions says 6"));
        assert!(says(Topic { retention_ms: 1, ..topic.clone() }).contains("kafka_retention_ms says -1"));
        assert!(says(Topic { compacted: true, ..topic.clone() }).contains("cleanup.policy"));
        assert!(says(topic.clone()).contains("kafka_replication says 3"));
        assert!(says(Topic { replication: 3, ..topic.clone() }).contains("kafka_min_insync_replicas says 2"));
        let progress = settings.progress_topic();
        assert!(progress.contradiction(&topic).unwrap_or_default().contains("not compacted"));
    }
}
