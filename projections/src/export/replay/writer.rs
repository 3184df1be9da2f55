//! An idempotent producer that counts what the brokers have acknowledged. Blocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use super::super::sending::partition;
use super::super::sending::record::Record;
use super::super::settings::ExportSettings;

/// Records that wait for an acknowledgement before the next ones are taken: memory stays flat.
const MOST_WAITING: i32 = 10_000;
const PAUSE: Duration = Duration::from_millis(1);

/// A record was not taken, after everything that librdkafka does about it.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub acknowledged: u64,
    pub reason: String,
}

/// What became of the records.
#[derive(Clone, Default)]
struct Receipts(Arc<Tally>);

#[derive(Default)]
struct Tally {
    acknowledged: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl ClientContext for Receipts {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ProducerContext for Receipts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
                // The first one is the cause of the others.
                failure.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

pub(super) struct Writer {
    producer: BaseProducer<Receipts>,
    receipts: Receipts,
    topic: String,
    partitions: i32,
}

impl Writer {
    pub fn open(settings: &ExportSettings, topic: &str, partitions: i32) -> KafkaResult<Self> {
        let receipts = Receipts::default();
        let producer = BaseProducer::from_config_and_context(&settings.idempotent_producer(), receipts.clone())?;
        Ok(Self { producer, receipts, topic: topic.to_owned(), partitions })
    }

    /// Hands records over; answers how many are acknowledged so far.
    pub fn send(&self, records: Vec<Record>) -> Result<u64, Undelivered> {
        for Record { position: _, key, payload, headers } in records {
            let mut record = BaseRecord::to(&self.topic).key(&key).payload(&payload).headers(headers);
            record = record.partition(partition::of(&key, self.partitions));
            while let Err((error, rejected)) = self.producer.send(record) {
                if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                    return Err(self.undelivered(error.to_string()));
                }
                record = rejected;
                self.producer.poll(PAUSE);
            }
        }
        self.wait_for(MOST_WAITING)
    }

    /// Waits until the brokers have everything.
    pub fn finish(&self) -> Result<u64, Undelivered> {
        self.wait_for(0)
    }

    /// Waits until at most so many records are on their way.
    fn wait_for(&self, waiting: i32) -> Result<u64, Undelivered> {
        self.producer.poll(Duration::ZERO);
        while self.producer.in_flight_count() > waiting {
            self.producer.poll(PAUSE);
        }
        let failure = self.receipts.0.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failure {
            None => Ok(self.acknowledged()),
            Some(reason) => Err(self.undelivered(reason)),
        }
    }

    fn acknowledged(&self) -> u64 {
        self.receipts.0.acknowledged.load(Ordering::Relaxed)
    }

    fn undelivered(&self, reason: String) -> Undelivered {
        Undelivered { acknowledged: self.acknowledged(), reason }
    }
}
