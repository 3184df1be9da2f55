//! Billing events once more, for whoever asks: a part of the log to a topic of its own, each record marked `ce_replayid`.
//!
//! No transaction: an idempotent producer keeps the order and sends nothing twice, and a replay is only called done when the
//! brokers have acknowledged every record. One that broke off is told from the next by its mark.

mod target;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use tenure_event_log::{Position, ReadError};
use uuid::Uuid;

pub use target::TargetError;
use writer::{Undelivered, Writer};

use super::sending::record::Envelope;
use super::settings::ExportSettings;
use crate::billing::{BillingEvent, BillingRange, DocumentError};
use crate::view::View;
use crate::{QueryError, Views};

/// Events that are read, and sent, at once.
const PAGE: u32 = 5_000;
/// Positions of the log that one statement looks at, so that none takes long.
const STRETCH: u64 = 1_000_000;
/// How long the billing view may take to reach the log's head.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(100);

/// Why nothing, or not everything, was replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The topic is not one to replay to.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The view is not as far as the range.
    #[error("the billing view is at position {position} and the log at {wanted}: the running service moves it on")]
    Behind {
        /// Where the view is.
        position: Position,
        /// Where it should be.
        wanted: Position,
    },
    /// The view can't be read.
    #[error("the billing events can't be read")]
    View(#[from] QueryError),
    /// The log can't be read.
    #[error("the log can't be read")]
    Log(#[from] ReadError),
    /// A row is not what this release writes.
    #[error("a billing event can't be written")]
    Document(#[from] DocumentError),
    /// There is no producer.
    #[error("the brokers can't be written to")]
    Producer(#[from] KafkaError),
    /// The brokers did not take everything.
    #[error("{acknowledged} of {total} records were acknowledged, then: {reason}")]
    Broken {
        /// Records that are in the topic.
        acknowledged: u64,
        /// Records that should be.
        total: u64,
        /// What was in the way.
        reason: String,
    },
    /// Other events were found than were counted a moment before.
    #[error("{written} records were written and {counted} events counted: the view changed meanwhile")]
    Changed {
        /// Records that are in the topic.
        written: u64,
        /// Events that were counted.
        counted: u64,
    },
    /// A thread of this process broke.
    #[error("the replay broke off")]
    Stopped(#[from] tokio::task::JoinError),
}

/// A part of the log that does not change any more, and what is in it.
#[derive(Clone, Debug)]
pub struct Selection {
    range: BillingRange,
    counts: BTreeMap<String, u64>,
}

impl Selection {
    /// Ends the range where the log ends now, waits until the billing view has passed that, and counts.
    ///
    /// # Errors
    /// [`ReplayError::Behind`] when nobody brings the view there, and when it can't be read.
    pub async fn of(views: &Views, range: BillingRange) -> Result<Self, ReplayError> {
        let last = range.last.min(views.log().head().await?);
        let range = BillingRange { last, ..range };
        let until = Instant::now() + CATCHES_UP_WITHIN;
        while let Some(error) = behind(views, &range).await? {
            if Instant::now() > until {
                return Err(error);
            }
            tokio::time::sleep(LOOK).await;
        }
        let (mut counts, mut after) = (BTreeMap::new(), range.before());
        while after < last {
            let up_to = Position::new(after.get().saturating_add(STRETCH));
            for (name, count) in range.counts(views, after, up_to).await? {
                *counts.entry(name).or_default() += count;
            }
            after = up_to;
        }
        // A crash of the database may have undone meanwhile what was waited for.
        behind(views, &range).await?.map_or(Ok(Self { range, counts }), Err)
    }

    /// How many events of each type there are.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// How many there are altogether.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// How the view is not far enough, if it is not. After a crash of the database it can fall back.
async fn behind(views: &Views, range: &BillingRange) -> Result<Option<ReplayError>, ReplayError> {
    let (position, wanted) = (views.committed_position(View::Billing).await?, range.last);
    Ok((position < wanted).then_some(ReplayError::Behind { position, wanted }))
}

/// Writes the selected events to the topic, which is made where there is none, in the log's order. `progress` is told how
/// many records are acknowledged so far. Memory does not depend on how many there are.
///
/// # Errors
/// [`ReplayError`]; what is in the topic by then carries the mark `id`.
pub async fn replay(
    settings: &ExportSettings,
    views: &Views,
    selection: &Selection,
    topic: &str,
    id: Uuid,
    mut progress: impl FnMut(u64),
) -> Result<(), ReplayError> {
    let partitions = target::prepare(settings, views, topic).await?;
    let total = selection.total();
    let envelope = Envelope::of_replay(settings, id);
    let writer = Arc::new(Writer::open(settings, topic, partitions)?);
    let broken = |Undelivered { acknowledged, reason }| ReplayError::Broken { acknowledged, total, reason };
    let mut page = next(views, selection, selection.range.before()).await?;
    while let Some(last) = page.last().map(|event| event.position) {
        let (writer, envelope) = (Arc::clone(&writer), envelope.clone());
        let send = tokio::task::spawn_blocking(move || {
            let records = page.iter().map(|event| envelope.record(event)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, DocumentError>(writer.send(records))
        });
        // The next page is read while the brokers take this one.
        let (done, following) = tokio::join!(send, next(views, selection, last));
        progress(done??.map_err(broken)?);
        page = following?;
    }
    let written = tokio::task::spawn_blocking(move || writer.finish()).await?.map_err(broken)?;
    progress(written);
    if written == total { Ok(()) } else { Err(ReplayError::Changed { written, counted: total }) }
}

/// The next events; none if there are no more.
async fn next(views: &Views, selection: &Selection, mut after: Position) -> Result<Vec<BillingEvent>, ReplayError> {
    while after < selection.range.last {
        let up_to = Position::new(after.get().saturating_add(STRETCH));
        let page = selection.range.page(views, after, up_to, PAGE).await?;
        if !page.is_empty() {
            return Ok(page);
        }
        after = up_to;
    }
    Ok(Vec::new())
}
