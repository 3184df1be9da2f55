//! Clients of the brokers that say what is wrong with the connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::{ClientConfig, Message as _};

use crate::export::resume::written::Written;

/// What the clients of one attempt have in common: the last thing that went wrong, and what the brokers have acknowledged.
#[derive(Clone, Default)]
pub(crate) struct Connection {
    trouble: Arc<Mutex<Option<String>>>,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

/// Billing events' records that the brokers have, by partition; `None` where they did not say of each where it stands.
pub(crate) type Acknowledged = BTreeMap<i32, Option<Stretch>>;

/// What a partition got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The first record's offset.
    pub first: i64,
    pub last: Written,
}

pub(crate) type Producer = BaseProducer<Connection>;
pub(crate) type Consumer = BaseConsumer<Connection>;
pub(crate) type Admin = AdminClient<Connection>;

impl Connection {
    pub fn producer(&self, config: &ClientConfig) -> KafkaResult<Producer> {
        BaseProducer::from_config_and_context(config, self.clone())
    }

    pub fn consumer(&self, config: &ClientConfig) -> KafkaResult<Consumer> {
        BaseConsumer::from_config_and_context(config, self.clone())
    }

    pub fn admin(&self, config: &ClientConfig) -> KafkaResult<Admin> {
        AdminClient::from_config_and_context(config, self.clone())
    }

    /// What went wrong last, if anything did since the last look.
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What was acknowledged since the last look.
    pub fn take_acknowledged(&self) -> Acknowledged {
        std::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_acknowledged(&self, partition: i32, last: Written) {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        let stretch = acknowledged.entry(partition).or_insert(Some(Stretch { first: last.offset, last }));
        // A record whose first acknowledgement was lost is acknowledged again without an offset.
        *stretch = stretch.filter(|_| last.offset >= 0).map(|stretch| Stretch { last, ..stretch });
    }

    fn note(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }
}

impl ClientContext for Connection {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        // That all are gone says less than why the last one is.
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() || error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *trouble = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Connection {}

impl ProducerContext for Connection {
    /// The position of the record's event; 0 for a record that is no event.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        match result {
            Ok(message) if position > 0 => {
                let position = u64::try_from(position).unwrap_or(u64::MAX);
                self.note_acknowledged(message.partition(), Written { offset: message.offset(), position });
            }
            Ok(_) => {}
            Err((error, message)) => {
                tracing::debug!(%error, topic = message.topic(), "a record was not delivered");
                self.note(error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Written {
        Written { offset, position: 100 + u64::try_from(offset).unwrap_or_default() }
    }

    #[test]
    fn a_stretch_is_known_only_if_each_of_its_records_is() {
        let connection = Connection::default();
        for (partition, offset) in [(0, 4), (0, 5), (1, 7), (1, -1), (1, 9), (2, -1), (2, 3)] {
            connection.note_acknowledged(partition, at(offset));
        }
        let known = Some(Stretch { first: 4, last: at(5) });
        assert_eq!(connection.take_acknowledged(), BTreeMap::from([(0, known), (1, None), (2, None)]));
        assert!(connection.take_acknowledged().is_empty());
    }
}
