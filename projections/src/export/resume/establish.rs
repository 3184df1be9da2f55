//! Before the first event of a producer: topics, progress, and whether everything agrees; if not, the wait for an operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_event_log::Position;

use super::ledger::{self, Order};
use super::progress::{self, Progress, ProgressError};
use super::verdict::{Doubt, Evidence, weigh};
use super::written::{self, Missing};
use crate::export::brokers::clients::Clients;
use crate::export::brokers::connection::Consumer;
use crate::export::brokers::topics::Topic;
use crate::export::pages::Anchor;
use crate::export::sending::transaction::Transactions;
use crate::export::settings::ExportSettings;
use crate::export::status::ExportState;
use crate::export::trouble::{Trouble, blocking};
use crate::export::worker::Worker;

/// How often a stopped export looks for orders.
const ORDERS_EVERY: Duration = Duration::from_millis(500);

/// What the progress topic says.
#[derive(Default)]
struct Told {
    progress: Option<Progress>,
    /// What it says behind that, in transactions that are not committed.
    uncommitted: Vec<Progress>,
    /// The offset of the last record, if nobody knows what that says.
    scribble: Option<i64>,
}

impl Worker {
    /// Where to go on, with both topics as they should be.
    pub(crate) async fn establish(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
    ) -> Result<Progress, Trouble> {
        let evidence = self.unless_stopped(self.gather(clients, transactions)).await?;
        match weigh(&evidence, &self.settings.topic) {
            Ok(progress) => {
                self.ignore_order().await?;
                self.unless_stopped(self.prepare_topics(clients, &evidence)).await?;
                match (progress, &evidence.torn) {
                    (Some(progress), None) => Ok(progress),
                    (Some(progress), Some(torn)) => self.mend(transactions, &progress, torn).await,
                    (None, _) => self.begin(transactions).await,
                }
            }
            Err(doubt) => self.wait_for_order(clients, transactions, &doubt).await,
        }
    }

    async fn gather(&self, clients: &Clients, transactions: &Arc<Transactions>) -> Result<Evidence, Trouble> {
        let billing_topic = clients.describe(&self.settings.topic).await?;
        let Told { progress, uncommitted, scribble } =
            self.told(clients, transactions, billing_topic.as_ref().map(|topic| topic.partitions)).await?;
        let log_id = self.views.log().id();
        let (mut missing, mut torn) = (None, None);
        if let (Some(progress), Some(topic)) = (&progress, &billing_topic)
            && progress.is_of(&self.settings.topic, topic.partitions)
        {
            missing = self.missing(&clients.all, progress, topic).await?.first().copied();
            if missing.is_none() && progress.log_id == log_id {
                torn = self.torn(clients, transactions, progress, topic, &uncommitted).await?;
            }
        }
        let mut copy = self.ledger().await?.copy;
        if copy.as_ref().is_some_and(|copy| self.was_taken_back(copy, progress.as_ref(), &uncommitted)) {
            self.correct_copy(progress.as_ref()).await?;
            copy = self.ledger().await?.copy;
        }
        let position = progress.as_ref().map(Progress::position).unwrap_or_default();
        let event_there = self.event_at(position).await?;
        let event_ahead = match torn.as_ref().and_then(|torn| torn.ahead) {
            Some(ahead) => self.event_at(ahead.position).await?,
            None => None,
        };
        // Read last: it only grows, and the events just read stand before it.
        let head = self.views.log().head().await.map_err(Trouble::retry)?;
        Ok(Evidence { log_id, head, event_there, progress, scribble, copy, billing_topic, missing, torn, event_ahead })
    }

    /// Reads the progress topic, if there is one.
    async fn told(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        billing: Option<i32>,
    ) -> Result<Told, Trouble> {
        let settings = Arc::clone(&self.settings);
        let (topic, within) = (&settings.progress_topic, settings.decided_within());
        if clients.describe(topic).await?.is_none() {
            return Ok(Told::default());
        }
        if !clients.is_decided(topic, 1, within, self.wanted()).await? {
            self.take_back(clients, transactions, billing).await?;
            clients.decided(topic, 1, within, self.wanted()).await?;
        }
        let (consumer, all, settings) =
            (Arc::clone(&clients.consumer), Arc::clone(&clients.all), Arc::clone(&self.settings));
        let read = move || {
            let (topic, key) = (&settings.progress_topic, settings.transactional_id());
            let last = progress::read(&consumer, topic, &key)?;
            let uncommitted = progress::uncommitted(&all, topic, &key, last.as_ref().map(|last| last.offset))?;
            Ok(Told { progress: last.and_then(|last| last.progress), uncommitted, scribble: None })
        };
        match blocking(read).await? {
            Ok(told) => Ok(told),
            Err(ProgressError::Malformed { offset, error }) => {
                tracing::warn!(offset, %error, "the last progress record can't be read");
                Ok(Told { scribble: Some(offset), ..Told::default() })
            }
            Err(error @ (ProgressError::Unavailable(_) | ProgressError::Late)) => Err(Trouble::retry(error)),
        }
    }

    /// Records that the progress knows and this consumer does not find in the billing topic.
    pub(crate) async fn missing(
        &self,
        consumer: &Arc<Consumer>,
        progress: &Progress,
        topic: &Topic,
    ) -> Result<Vec<Missing>, Trouble> {
        let (consumer, settings, wanted) = (Arc::clone(consumer), Arc::clone(&self.settings), self.wanted());
        let (records, expires) = (progress.written.clone(), topic.retention_ms >= 0);
        let look = move || {
            let place = written::Place { topic: &settings.topic, source: &settings.source(), expires };
            written::missing(&consumer, &place, &records, wanted)
        };
        blocking(look).await?.map_err(Trouble::retry)
    }

    /// Says in Kafka that nothing is exported yet, before anything is: what a first transaction that was killed leaves in
    /// the billing topic can't be told from records of which nobody knows whether they are all.
    async fn begin(&self, transactions: &Arc<Transactions>) -> Result<Progress, Trouble> {
        self.commit(transactions, Vec::new(), self.place(Position::START, None)).await
    }

    /// Makes what is missing; refuses what contradicts the settings.
    async fn prepare_topics(&self, clients: &Clients, evidence: &Evidence) -> Result<(), Trouble> {
        let settings = &self.settings;
        if evidence.billing_topic.is_none() {
            clients.create(settings, ExportSettings::billing_topic).await?;
        }
        if clients.describe(&settings.progress_topic).await?.is_none() {
            clients.create(settings, ExportSettings::progress_topic).await?;
        }
        for wanted in [settings.billing_topic(), settings.progress_topic()] {
            let topic = clients.describe(wanted.name).await?;
            let topic = topic.ok_or_else(|| Trouble::Retry(format!("topic {} is not there yet", wanted.name)))?;
            if let Some(contradiction) = wanted.contradiction(&topic) {
                return Err(Trouble::Refused(contradiction));
            }
        }
        Ok(())
    }

    /// Stands still until an operator says where to go on, and writes that down in Kafka first.
    async fn wait_for_order(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        doubt: &Doubt,
    ) -> Result<Progress, Trouble> {
        const ADVICE: &str = "find out what happened, then run `tenure billing resume --rescan` (go on after the last event \
                              in the topic) or `tenure billing resume --from POSITION`; see the runbook";
        let mut reason = format!("{doubt}: {ADVICE}");
        loop {
            self.board.state(ExportState::Stopped, Some(reason.clone()));
            self.pause(ORDERS_EVERY).await?;
            let Some(order) = self.ledger().await?.order else { continue };
            match self.carry_out(clients, transactions, order).await? {
                Ok(progress) => {
                    tracing::warn!(%order, position = progress.position, "the billing export goes on as ordered");
                    return Ok(progress);
                }
                Err(refusal) => reason = format!("{doubt}: {ADVICE} (the order \"{order}\" is refused: {refusal})"),
            }
        }
    }

    /// The inner error says why the order can't be what was meant.
    async fn carry_out(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        order: Order,
    ) -> Result<Result<Progress, String>, Trouble> {
        let evidence = self.unless_stopped(self.gather(clients, transactions)).await?;
        let anchor = match order {
            Order::From(position) => Ok(position),
            Order::Rescan => self.unless_stopped(self.rescan(clients, &evidence)).await?,
        };
        let place = match anchor {
            Ok(position) if position > evidence.head => Err(format!("the log ends at {}", evidence.head)),
            Ok(position) => Ok(position),
            Err(refusal) => Err(refusal),
        };
        let position = match place {
            Ok(position) => position,
            Err(refusal) => {
                self.settle(order).await?;
                return Ok(Err(refusal));
            }
        };
        self.unless_stopped(self.prepare_topics(clients, &evidence)).await?;
        let event_id = self.event_at(position).await?;
        let progress = self.commit(transactions, Vec::new(), self.place(position, event_id)).await?;
        self.remember(&progress).await;
        self.settle(order).await?;
        Ok(Ok(progress))
    }

    async fn rescan(&self, clients: &Clients, evidence: &Evidence) -> Result<Result<Position, String>, Trouble> {
        let Some(topic) = &evidence.billing_topic else { return Ok(Err("there is no billing topic".to_owned())) };
        if let Some(Missing { record, .. }) = &evidence.missing
            && !topic.empty
        {
            // There may be a last event, and others before it are gone.
            return Ok(Err(format!(
                "the event of position {} is not in the topic; --from says what counts",
                record.position
            )));
        }
        if evidence.torn.is_some() {
            // There is a last event, and some partitions lack others before it.
            return Ok(Err("some partitions of the topic lack events; --from says what counts".to_owned()));
        }
        let (settings, partitions) = (&self.settings, topic.partitions);
        clients.decided(&settings.topic, partitions, settings.decided_within(), self.wanted()).await?;
        let last = clients.last_exported(settings, partitions, self.wanted()).await?;
        let Some(Anchor { position, event_id }) = last else {
            return Ok(Err("the billing topic has no event of this cell; --from 0 exports everything".to_owned()));
        };
        let there = self.event_at(position).await?;
        Ok(if there == Some(event_id) {
            Ok(position)
        } else {
            Err(format!("the log's event at position {position} is not the one in the topic; --from says what counts"))
        })
    }

    /// A place in the current topic, where nothing is exported to it yet.
    fn place(&self, position: Position, event_id: Option<uuid::Uuid>) -> Progress {
        Progress {
            log_id: self.views.log().id(),
            position: position.get(),
            event_id,
            since: position.get(),
            topic: self.settings.topic.clone(),
            partitions: self.settings.partitions,
            written: BTreeMap::new(),
        }
    }

    /// An order for an export that stands still is not for one that runs, and must not wait for its next stop.
    pub(crate) async fn ignore_order(&self) -> Result<(), Trouble> {
        if let Some(order) = self.ledger().await?.order {
            tracing::warn!(%order, "the billing export was told to resume, but nothing stops it: ignored");
            self.settle(order).await?;
        }
        Ok(())
    }

    async fn ledger(&self) -> Result<ledger::Page, Trouble> {
        let mut session = self.ledger.lock().await;
        let read = async { ledger::read(session.open(self.views.store()).await?).await };
        self.unless_stopped(async { read.await.map_err(Trouble::retry) }).await
    }

    async fn settle(&self, order: Order) -> Result<(), Trouble> {
        let mut session = self.ledger.lock().await;
        let settled = async { ledger::settle(session.open(self.views.store()).await?, order).await };
        self.unless_stopped(async { settled.await.map_err(Trouble::retry) }).await
    }
}
