//! Transactions of ours that the brokers decided, and whose end they forgot.
//!
//! A broker that dies between the decision on a transaction and its end in the partitions writes that end when it is back. One
//! that is alone does not always (seen with Apache Kafka 4.3.1, killed right after a commit was acknowledged): it takes the
//! transaction for done, though no partition has its end, and readers of what is committed never get past it. Nobody has seen
//! its records then, so they are taken back and sent again; where somebody has, an operator has to decide.

use std::sync::Arc;

use super::clients::Clients;
use super::ledger;
use super::progress::{self, Progress};
use super::settings::ExportSettings;
use super::topics::Topic;
use super::transaction::Transactions;
use super::worker::{Trouble, Worker, blocking};

impl Clients {
    /// Whether the progress topic has a record of ours with this position; among all or those that are committed.
    async fn holds(&self, settings: &Arc<ExportSettings>, position: u64, all: bool) -> Result<bool, Trouble> {
        let consumer = Arc::clone(if all { &self.all } else { &self.consumer });
        let settings = Arc::clone(settings);
        let look = move || progress::holds(&consumer, &settings.progress_topic, &settings.transactional_id(), position);
        blocking(look).await?.map_err(Trouble::retry)
    }
}

impl Worker {
    /// Ends what hangs in both topics. Our own producer was initialized, so nothing of ours is still on its way; what another
    /// cell has open is not touched, and is waited for again.
    pub(super) async fn take_back(
        &self,
        clients: &Clients,
        transactions: &Arc<Transactions>,
        billing: Option<&Topic>,
    ) -> Result<(), Trouble> {
        let settings = &self.settings;
        let mut hanging = Vec::new();
        let topics = [(&settings.progress_topic, 1)].into_iter();
        for (topic, partitions) in topics.chain(billing.map(|billing| (&settings.topic, billing.partitions))) {
            let partitions = clients.undecided(topic, partitions).await?;
            hanging.extend(partitions.into_iter().map(|partition| (topic.clone(), partition)));
        }
        tracing::warn!(?hanging, "the brokers do not end a transaction: what hangs is taken back and sent again");
        let (transactions, wanted) = (Arc::clone(transactions), self.wanted());
        blocking(move || transactions.take_back(&hanging, wanted)).await??;
        clients.decided(&settings.progress_topic, 1, settings.decided_within(), self.wanted()).await?;
        match billing {
            Some(billing) => {
                clients.decided(&settings.topic, billing.partitions, settings.decided_within(), self.wanted()).await
            }
            None => Ok(()),
        }
    }

    /// Whether the database remembers progress that was acknowledged and is now, in Kafka, part of an aborted transaction: it was
    /// taken back, on purpose or by the end of the next transaction. (Brokers that lost a record don't have it at all.)
    pub(super) async fn was_taken_back(
        &self,
        clients: &Clients,
        copy: &Progress,
        progress: Option<&Progress>,
    ) -> Result<bool, Trouble> {
        let is_ours = copy.log_id == self.views.log().id() && copy.topic == self.settings.topic;
        if !is_ours || progress.is_some_and(|progress| progress.position >= copy.position) {
            return Ok(false);
        }
        Ok(clients.holds(&self.settings, copy.position, true).await?
            && !clients.holds(&self.settings, copy.position, false).await?)
    }

    /// From now on the database remembers what readers of the billing topic have seen: if that is more than the progress says,
    /// the end of the transaction was there for some of them, and the export stops.
    pub(super) async fn correct_copy(
        &self,
        clients: &Clients,
        progress: Option<&Progress>,
        billing: Option<&Topic>,
    ) -> Result<(), Trouble> {
        let last = match billing {
            Some(billing) => clients.last_exported(&self.settings, billing.partitions, self.wanted()).await?,
            None => None,
        };
        let mut session = self.ledger.lock().await;
        let corrected = async {
            let session = session.open(self.views.store()).await?;
            match progress {
                Some(progress) => {
                    let seen = last.map_or(0, |last| last.position.get());
                    let copy = Progress { position: progress.position.max(seen), ..progress.clone() };
                    ledger::remember(session, &copy).await
                }
                None => ledger::forget(session).await,
            }
        };
        corrected.await.map_err(Trouble::retry)
    }
}
