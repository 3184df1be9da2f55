//! What asks the brokers: about topics, and what is in them.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::connection::{Admin, Connection, Consumer};
use super::decided::{self, UndecidedError};
use super::topics::{self, Topic, Wanted};
use crate::export::pages::Anchor;
use crate::export::resume::rescan;
use crate::export::settings::ExportSettings;
use crate::export::trouble::{Trouble, blocking};

/// What asks the brokers. Clones share it.
#[derive(Clone)]
pub(crate) struct Clients {
    admin: Arc<Admin>,
    pub consumer: Arc<Consumer>,
    /// Sees what is not committed, too.
    pub all: Arc<Consumer>,
}

impl Clients {
    pub fn open(settings: &ExportSettings, connection: &Connection) -> Result<Self, Trouble> {
        let admin = connection.admin(&settings.admin()).map_err(Trouble::retry)?;
        let consumer = connection.consumer(&settings.consumer()).map_err(Trouble::retry)?;
        let all = connection.consumer(&settings.consumer_of_all()).map_err(Trouble::retry)?;
        Ok(Self { admin: Arc::new(admin), consumer: Arc::new(consumer), all: Arc::new(all) })
    }

    pub async fn describe(&self, name: &str) -> Result<Option<Topic>, Trouble> {
        let (clients, name) = (self.clone(), name.to_owned());
        let described = move || Handle::current().block_on(topics::describe(&clients.admin, &clients.consumer, &name));
        blocking(described).await?.map_err(Trouble::retry)
    }

    /// Resolves when readers of what is committed can see everything that the topic holds now; false if they still can't after
    /// as long as no transaction should last.
    pub async fn is_decided(
        &self,
        topic: &str,
        partitions: i32,
        within: Duration,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<bool, Trouble> {
        let (clients, name) = (self.clone(), topic.to_owned());
        let wait = move || decided::wait(&clients.consumer, &clients.all, &name, partitions, within, wanted);
        match blocking(wait).await? {
            Ok(()) => Ok(true),
            Err(UndecidedError::Late { .. }) => Ok(false),
            Err(error @ (UndecidedError::Unavailable { .. } | UndecidedError::GivenUp)) => Err(Trouble::retry(error)),
        }
    }

    /// The same, where it is an obstacle if they can't.
    pub async fn decided(
        &self,
        topic: &str,
        partitions: i32,
        within: Duration,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<(), Trouble> {
        if self.is_decided(topic, partitions, within, wanted).await? {
            return Ok(());
        }
        Err(Trouble::retry(UndecidedError::Late { topic: topic.to_owned(), within }))
    }

    /// The committed event with the highest position that this cell exported to the billing topic.
    pub async fn last_exported(
        &self,
        settings: &Arc<ExportSettings>,
        partitions: i32,
        wanted: impl Fn() -> bool + Send + 'static,
    ) -> Result<Option<Anchor>, Trouble> {
        let (consumer, settings) = (Arc::clone(&self.consumer), Arc::clone(settings));
        let look = move || rescan::last_exported(&consumer, &settings.topic, partitions, &settings.source(), wanted);
        blocking(look).await?.map_err(Trouble::retry)
    }

    pub async fn create(
        &self,
        settings: &Arc<ExportSettings>,
        of: fn(&ExportSettings) -> Wanted<'_>,
    ) -> Result<(), Trouble> {
        let (clients, settings) = (self.clone(), Arc::clone(settings));
        let created =
            move || Handle::current().block_on(topics::create(&clients.admin, &clients.consumer, &of(&settings)));
        blocking(created).await?.map_err(Trouble::retry)
    }
}
