//! The cell's one transactional producer. Everything here blocks, and runs on threads where that is allowed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _};

use super::partition;
use super::record::Record;
use crate::export::brokers::connection::{Connection, Producer, Stretch};
use crate::export::resume::progress::Progress;
use crate::export::resume::written::Written;
use crate::export::settings::{ExportSettings, Step};

/// How long one call waits before it looks whether it should go on waiting.
const CALL: Duration = Duration::from_secs(2);
/// How many times its own time limit the brokers may take over one transaction; they abort it after that limit.
const GIVEN_UP_AFTER: u32 = 3;
/// The same for one call of an abort, in which nothing that happens is noticed.
const ABORT_CALL: Duration = Duration::from_millis(100);
/// How long an abort may take that nobody waits for. Then the brokers' own time limit ends the transaction.
const ABORTED_WITHIN: Duration = Duration::from_millis(1_500);
/// After what time without an answer something seems to be wrong.
const LATE: Duration = Duration::from_secs(2);
/// How long the wait for outstanding records sleeps: librdkafka's own flush sleeps 100 ms at a time.
const PAUSE: Duration = Duration::from_millis(1);

/// How a transaction did not come about. Whatever it was, the position in memory is void: only the progress topic knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It is aborted, and the producer may begin another one.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// The producer can't be used any more.
    #[error("the producer failed: {0}")]
    Fatal(String),
    /// Another producer with the same transactional id took its place, or the brokers ended a transaction that took longer
    /// than it may, which looks the same.
    #[error("another exporter of this cell took over, or the transaction took too long")]
    Fenced,
    /// Nobody wants it any more: the lease is lost, or the service stops.
    #[error("the export was stopped")]
    GivenUp,
}

/// A producer that has fenced its predecessors.
pub(crate) struct Transactions {
    producer: Producer,
    settings: ExportSettings,
    connection: Connection,
    report: Box<dyn Fn(String) + Send + Sync>,
}

/// How long something has gone without an answer.
struct Waiting {
    since: Instant,
    told: bool,
}

impl Transactions {
    /// Makes the producer, ends what a predecessor left open, and keeps it from ever committing. Blocks until the brokers
    /// answer or `wanted` says no; `report` is told what is wrong meanwhile.
    pub fn open(
        settings: &ExportSettings,
        connection: &Connection,
        wanted: impl Fn() -> bool,
        report: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let fatal = |error: KafkaError| Failure::Fatal(error.to_string());
        let producer = connection.producer(&settings.transactional_producer()).map_err(fatal)?;
        let tell = |otherwise: &str| report(connection.take_trouble().unwrap_or_else(|| otherwise.to_owned()));
        // A client that is initialized before a broker is there looks again only half a second later.
        if producer.client().fetch_cluster_id(CALL).is_none() {
            producer.poll(PAUSE);
            tell("no answer, and no reason for that");
        }
        loop {
            if !wanted() {
                return Err(Failure::GivenUp);
            }
            match producer.init_transactions(CALL) {
                Ok(()) => {
                    let (settings, connection) = (settings.clone(), connection.clone());
                    return Ok(Self { producer, settings, connection, report: Box::new(report) });
                }
                Err(error) if is_retriable(&error) => {
                    producer.poll(PAUSE);
                    tell(&error.to_string());
                }
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    /// Commits records and progress together, or neither.
    /// The progress comes with the last records before these, and is answered with the last ones now.
    pub fn commit(
        &self,
        records: Vec<Record>,
        progress: Progress,
        wanted: impl Fn() -> bool,
    ) -> Result<Progress, Failure> {
        self.settings.observe(Step::BeforeSend);
        // Nothing is heard any more of what an earlier transaction sent.
        self.settle(&wanted)?;
        self.connection.take_acknowledged();
        self.producer.begin_transaction().map_err(|error| failure(&error))?;
        let filled = self.fill(records, progress, &wanted);
        match filled.and_then(|progress| self.finish(&wanted).map(|()| progress)) {
            Ok(progress) => {
                self.settings.observe(Step::AfterCommit);
                Ok(progress)
            }
            // Left open, it would hold up every consumer until the brokers end it.
            Err(failure @ (Failure::Aborted(_) | Failure::GivenUp)) => {
                self.abort(&wanted)?;
                Err(failure)
            }
            Err(failure @ (Failure::Fatal(_) | Failure::Fenced)) => Err(failure),
        }
    }

    /// Ends, as if they had never been sent, records of this producer's predecessors in these partitions whose end the brokers
    /// forgot: an end that a producer gives is that of everything its id has open there. The record that this takes is never
    /// committed either.
    pub fn take_back(&self, partitions: &[(String, i32)], wanted: impl Fn() -> bool) -> Result<(), Failure> {
        let (key, payload) = (self.settings.end_key(), b"{}".to_vec());
        self.producer.begin_transaction().map_err(|error| failure(&error))?;
        let hand_over = |(topic, partition): &(String, i32)| {
            let record = BaseRecord::with_opaque_to(topic, 0).partition(*partition);
            self.send(record.key(&key).payload(&payload), &wanted)
        };
        let sent = partitions.iter().try_for_each(hand_over).and_then(|()| self.settle(&wanted));
        self.abort(&wanted)?;
        sent
    }

    fn fill(&self, records: Vec<Record>, progress: Progress, wanted: &impl Fn() -> bool) -> Result<Progress, Failure> {
        for Record { position, key, payload, headers } in records {
            let position = usize::try_from(position).unwrap_or_default();
            let record = BaseRecord::with_opaque_to(&self.settings.topic, position).key(&key).payload(&payload);
            self.send(record.headers(headers).partition(partition::of(&key, progress.partitions)), wanted)?;
        }
        self.settle(wanted)?;
        self.settings.observe(Step::AfterSend);
        let progress = Progress { written: self.written(progress.written)?, ..progress };
        let key = self.settings.transactional_id();
        let value = serde_json::to_vec(&progress).map_err(|error| Failure::Fatal(error.to_string()))?;
        let record = BaseRecord::with_opaque_to(&self.settings.progress_topic, 0).partition(0);
        self.send(record.key(&key).payload(&value), wanted)?;
        self.settle(wanted)?;
        self.settings.observe(Step::BeforeCommit);
        if wanted() { Ok(progress) } else { Err(Failure::GivenUp) }
    }

    /// The last record of each partition now; fails where one did not go on behind the last before. The look at the topic
    /// that follows a failure finds that one missing.
    fn written(&self, mut written: BTreeMap<i32, Written>) -> Result<BTreeMap<i32, Written>, Failure> {
        for (partition, stretch) in self.connection.take_acknowledged() {
            let Some(Stretch { first, last }) = stretch else {
                // What can't be found again can't be told from what is lost.
                return Err(Failure::Aborted(format!(
                    "the brokers did not say where they put records in partition {partition} of the billing topic"
                )));
            };
            if let Some(Written { offset, .. }) = written.get(&partition)
                && first <= *offset
            {
                return Err(Failure::Aborted(format!(
                    "partition {partition} of the billing topic had a record at offset {offset} and goes on at {first}"
                )));
            }
            written.insert(partition, last);
        }
        Ok(written)
    }

    /// Hands a record over, waiting while the queue is full.
    fn send(&self, record: BaseRecord<'_, String, Vec<u8>, usize>, wanted: &impl Fn() -> bool) -> Result<(), Failure> {
        let mut record = record;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), rejected)) if wanted() => {
                    record = rejected;
                    self.producer.poll(PAUSE);
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => return Err(Failure::GivenUp),
                Err((error, _)) => return Err(self.judged(&error)),
            }
        }
    }

    /// Waits until the brokers have every record. One that they refuse shows itself at the commit.
    fn settle(&self, wanted: &impl Fn() -> bool) -> Result<(), Failure> {
        let mut waiting = Waiting::new();
        while self.producer.in_flight_count() > 0 {
            if !wanted() {
                return Err(Failure::GivenUp);
            }
            self.producer.poll(PAUSE);
            self.report_if_late(&mut waiting);
        }
        Ok(())
    }

    /// Says what is wrong while it goes on waiting.
    fn report_if_late(&self, waiting: &mut Waiting) {
        if waiting.since.elapsed() < LATE {
            return;
        }
        let silent = (!waiting.told).then(|| "no answer, and no reason for that".to_owned());
        if let Some(trouble) = self.connection.take_trouble().or(silent) {
            (self.report)(trouble);
        }
        *waiting = Waiting { since: Instant::now(), told: true };
    }

    fn finish(&self, wanted: &impl Fn() -> bool) -> Result<(), Failure> {
        let until = Instant::now() + self.given_up_after();
        let mut waiting = Waiting::new();
        loop {
            self.report_if_late(&mut waiting);
            match self.producer.commit_transaction(CALL) {
                Ok(()) => return Ok(()),
                // Whether it is committed nobody knows yet; the same call again finds out.
                Err(error) if is_retriable(&error) && Instant::now() < until && wanted() => {}
                Err(error) if is_retriable(&error) => return Err(Failure::Fatal(error.to_string())),
                Err(error) => return Err(self.judged(&error)),
            }
        }
    }

    /// Ends the transaction without it ever having been; fails if the brokers don't say so in time, which is short where
    /// nobody waits for another one.
    fn abort(&self, wanted: &impl Fn() -> bool) -> Result<(), Failure> {
        let began = Instant::now();
        let mut waiting = Waiting::new();
        loop {
            self.report_if_late(&mut waiting);
            let limit = if wanted() { self.given_up_after() } else { ABORTED_WITHIN };
            // The call waits for the records that are still on their way, and what became of them shows itself only here.
            match self.producer.abort_transaction(ABORT_CALL) {
                Ok(()) => return Ok(()),
                Err(error) if is_retriable(&error) && began.elapsed() < limit => self.serve(),
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    fn given_up_after(&self) -> Duration {
        self.settings.transaction_timeout * GIVEN_UP_AFTER
    }

    /// Takes in everything that the client has to say.
    fn serve(&self) {
        let mut left = self.producer.in_flight_count();
        loop {
            self.producer.poll(PAUSE);
            let now = self.producer.in_flight_count();
            if now == 0 || now >= left {
                return;
            }
            left = now;
        }
    }

    /// What an error inside a transaction means; `Aborted` for one that an abort cures.
    fn judged(&self, error: &KafkaError) -> Failure {
        // The first failure of a fenced producer is often a record that was not delivered: the client itself knows better.
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return fatal(code, reason);
        }
        match error {
            // After a week of silence the brokers have forgotten the id: only a new producer gets it again.
            KafkaError::Transaction(inner) if inner.code() == RDKafkaErrorCode::InvalidProducerIdMapping => {
                failure(error)
            }
            KafkaError::Transaction(inner) if inner.txn_requires_abort() => Failure::Aborted(inner.string()),
            KafkaError::MessageProduction(_) | KafkaError::Flush(_) => Failure::Aborted(error.to_string()),
            _ => failure(error),
        }
    }
}

impl Waiting {
    fn new() -> Self {
        Self { since: Instant::now(), told: false }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

fn failure(error: &KafkaError) -> Failure {
    match error {
        KafkaError::Transaction(inner) => fatal(inner.code(), inner.string()),
        other => Failure::Fatal(other.to_string()),
    }
}

fn fatal(code: RDKafkaErrorCode, reason: String) -> Failure {
    match code {
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch => {
            Failure::Fenced
        }
        _ => Failure::Fatal(reason),
    }
}
