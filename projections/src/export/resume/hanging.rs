//! Transactions of ours that the brokers decided, and whose end they forgot.
//!
//! A broker that dies between the decision on a transaction and its end in the partitions writes that end when it is back. One
//! that is alone does not always (seen with Apache Kafka 4.3.1, killed right after a commit was acknowledged): it takes the
//! transaction for done, though some partitions, or all, don't have its end, and readers of what is committed never get past
//! it there. Nobody has seen its records in those partitions, so they are taken back and sent again; `torn.rs` finds out which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::ledger;
use super::progress::Progress;
use crate::export::brokers::clients::Clients;
use crate::export::brokers::decided::{self, UndecidedError};
use crate::export::sending::record;
use crate::export::sending::transaction::Transactions;
use crate::export::settings::ExportSettings;
use crate::export::trouble::{Trouble, blocking};
use crate::export::worker::Worker;

/// How often a running export looks whether readers see what it committed.
const LOOK: Duration = Duration::from_secs(5);

impl ExportSettings {
    /// The key of a record that does nothing but belong to a transaction. No progress has it.
    pub(crate) fn end_key(&self) -> String {
        format!("{}/end", self.transactional_id())
    }

    fn wrote(&self, message: &BorrowedMessage<'_>) -> bool {
        record::header(message, "ce_source") == Some(&self.source())
            || message
                .key()
                .is_some_and(|key| key == self.transactional_id().as_bytes() || key == self.end_key().as_bytes())
    }
}

impl Worker {
    /// Ends what hangs in both topics. Our own producer was initialized, so nothing of ours is still on its way; what another
    /// cell has open is not touched, and has to be waited for.
    pub(crate) async fn take_back(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        billing: Option<i32>,
    ) -> Result<(), Trouble> {
        let settings = &self.settings;
        let mut hanging = Vec::new();
        let progress = [(&settings.progress_topic, 1)].into_iter();
        for (topic, partitions) in progress.chain(billing.map(|partitions| (&settings.topic, partitions))) {
            let partitions = clients.open_of(settings, topic, partitions).await?;
            hanging.extend(partitions.into_iter().map(|partition| (topic.clone(), partition)));
        }
        if hanging.is_empty() {
            return Ok(());
        }
        tracing::warn!(?hanging, "the brokers do not end a transaction: what hangs is taken back and sent again");
        let (transactions, wanted) = (Arc::clone(transactions), self.wanted());
        Ok(blocking(move || transactions.take_back(&hanging, wanted)).await??)
    }

    /// Resolves when readers see past these offsets, each in its partition of the billing topic, taking back what hangs.
    pub(crate) async fn readable(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        partitions: i32,
        offsets: BTreeMap<i32, i64>,
    ) -> Result<(), Trouble> {
        let (topic, within) = (&self.settings.topic, self.settings.decided_within());
        if clients.hidden(topic, &offsets, within, self.wanted()).await?.is_empty() {
            return Ok(());
        }
        self.take_back(clients, transactions, Some(partitions)).await?;
        if clients.hidden(topic, &offsets, within, self.wanted()).await?.is_empty() {
            return Ok(());
        }
        Err(Trouble::retry(UndecidedError::Late { topic: topic.clone(), within }))
    }

    /// Whether the database remembers progress that was acknowledged and that is, in Kafka, not committed any more: it was taken
    /// back, on purpose or by the end of the next transaction. (Brokers that lost a record don't have it at all.)
    pub(crate) fn was_taken_back(
        &self,
        copy: &Progress,
        progress: Option<&Progress>,
        uncommitted: &[Progress],
    ) -> bool {
        copy.log_id == self.views.log().id()
            && copy.topic == self.settings.topic
            && progress.is_none_or(|progress| progress.position < copy.position)
            && uncommitted.iter().any(|other| other.position == copy.position && other.event_id == copy.event_id)
    }

    /// From now on the database remembers what counts.
    pub(crate) async fn correct_copy(&self, progress: Option<&Progress>) -> Result<(), Trouble> {
        let mut session = self.ledger.lock().await;
        let corrected = async {
            let session = session.open(self.views.store()).await?;
            match progress {
                Some(progress) => ledger::remember(session, progress).await,
                None => ledger::forget(session).await,
            }
        };
        corrected.await.map_err(Trouble::retry)
    }
}

/// Looks after what a running export has committed: a broker that forgets its end while nobody sends would hide it till the
/// next start.
pub(crate) struct Watch {
    looked: Instant,
    /// What readers did not see when it was first looked for, and when that was.
    hidden: BTreeMap<i32, (i64, Instant)>,
}

impl Watch {
    pub fn new() -> Self {
        Self { looked: Instant::now(), hidden: BTreeMap::new() }
    }

    /// Now and then; fails where a transaction of ours has hidden something for longer than any should last.
    pub async fn look(&mut self, worker: &Worker, clients: &Clients, place: &Progress) -> Result<(), Trouble> {
        if self.looked.elapsed() < LOOK || place.written.is_empty() {
            return Ok(());
        }
        let (settings, topic) = (&worker.settings, &worker.settings.topic);
        // Each stays under the offset that it was found with: later commits must not make it look new.
        let offsets = place.written.iter().map(|(partition, written)| {
            (*partition, self.hidden.get(partition).map_or(written.offset, |(offset, _)| *offset))
        });
        let offsets: BTreeMap<i32, i64> = offsets.collect();
        let hidden = clients.hidden(topic, &offsets, Duration::ZERO, worker.wanted()).await?;
        self.looked = Instant::now();
        let since = |partition: &i32| self.hidden.get(partition).map_or(self.looked, |(_, since)| *since);
        self.hidden = hidden.iter().map(|partition| (*partition, (offsets[partition], since(partition)))).collect();
        let within = settings.decided_within();
        if self.hidden.values().all(|(_, since)| since.elapsed() < within)
            || clients.open_of(settings, topic, place.partitions).await?.is_empty()
        {
            return Ok(());
        }
        // What can be done about it is done before an export begins.
        Err(Trouble::Void(UndecidedError::Late { topic: topic.clone(), within }.to_string()))
    }
}

impl Clients {
    /// The partitions of a topic that a transaction of this cell holds up.
    async fn open_of(&self, settings: &Arc<ExportSettings>, topic: &str, partitions: i32) -> Result<Vec<i32>, Trouble> {
        let (clients, settings, topic) = (self.clone(), Arc::clone(settings), topic.to_owned());
        let is_ours = move |message: &BorrowedMessage<'_>| settings.wrote(message);
        let look = move || decided::open_of(&clients.consumer, &clients.all, &topic, partitions, is_ours);
        blocking(look).await?.map_err(Trouble::retry)
    }

    /// The partitions of a topic where readers do not see past these offsets after so long.
    async fn hidden(
        &self,
        topic: &str,
        offsets: &BTreeMap<i32, i64>,
        within: Duration,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<Vec<i32>, Trouble> {
        let (clients, topic, offsets) = (self.clone(), topic.to_owned(), offsets.clone());
        let look = move || decided::hidden(&clients.consumer, &clients.all, &topic, &offsets, within, wanted);
        blocking(look).await?.map_err(Trouble::retry)
    }
}
