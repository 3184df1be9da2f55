//! Clients of the brokers that say what is wrong with the connection.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::{ClientConfig, Message as _};

/// What the clients of one attempt have in common: the last thing that went wrong.
#[derive(Clone, Default)]
pub(super) struct Connection {
    trouble: Arc<Mutex<Option<String>>>,
}

pub(super) type Producer = BaseProducer<Connection>;
pub(super) type Consumer = BaseConsumer<Connection>;
pub(super) type Admin = AdminClient<Connection>;

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
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            tracing::debug!(%error, topic = message.topic(), "a record was not delivered");
            self.note(error.to_string());
        }
    }
}
