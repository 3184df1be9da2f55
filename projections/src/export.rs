//! The billing export: every billing event of the log to Kafka, in order, exactly once for consumers that read what is
//! committed.
//!
//! One instance exports at a time ([`lease`]). It sends events and a record of its progress in one Kafka transaction
//! ([`sending`]); where it goes on after a start, a crash or a failure is what the last such record says, weighed
//! against the log ([`resume`]). Nothing else is trusted: the database only keeps a copy of the progress, to notice when
//! Kafka has lost some.
//!
//! Events come from the billing view, which holds those of one generation in the log's order, and shows a batch as a whole
//! or not at all. While the export runs, each page it reads begins with the event that it exported last: a log that was cut
//! behind its back does not go unnoticed. Nor does a billing topic that was made anew: records must come behind the last ones
//! of their partitions, and these stand where they were put ([`resume::written`]).

mod brokers;
mod check;
mod lease;
mod pages;
mod replay;
mod resume;
mod sending;
mod session;
mod settings;
mod status;
mod trouble;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use check::{CheckError, Checked, Part, check};
pub use replay::{ReplayError, Selection, TargetError, replay};
pub use resume::ledger::Order;
pub use resume::progress::Progress;
pub use resume::verdict::Doubt;
pub use resume::written::Written;
pub use settings::{ExportSettings, Observer, Security, Step};
pub use status::{ExportState, ExportStatus};

use crate::billing::contract::Topics;
use crate::{QueryError, Views};
use resume::ledger;
use status::Board;
use worker::Worker;

/// A running export. It goes on until [`Export::shutdown`].
pub struct Export {
    board: Arc<Board>,
    settings: Arc<ExportSettings>,
    stop: watch::Sender<bool>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Export {
    /// Starts exporting, in a task of its own, as soon as no other instance does and the brokers answer.
    #[must_use]
    pub fn start(settings: ExportSettings, views: &Views) -> Self {
        let board = Arc::new(Board::new());
        let stop = watch::Sender::new(false);
        let settings = Arc::new(settings);
        let worker = Worker::new(Arc::clone(&settings), views.clone(), Arc::clone(&board), stop.subscribe());
        Self { board, settings, stop, worker: Mutex::new(Some(tokio::spawn(worker.run()))) }
    }

    /// What its topics are called.
    #[must_use]
    pub fn topics(&self) -> Topics<'_> {
        Topics { billing: &self.settings.topic, progress: &self.settings.progress_topic }
    }

    /// How it does.
    #[must_use]
    pub fn status(&self) -> ExportStatus {
        self.board.read()
    }

    /// Stops: a transaction that is not committed yet is aborted, and another instance may go on at once.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker
            && let Err(error) = worker.await
        {
            tracing::error!(%error, "the billing export panicked");
        }
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Tells a stopped export where to go on. Carried out by whichever instance exports, within seconds.
///
/// # Errors
/// [`QueryError`] when the database can't be written.
pub async fn order(views: &Views, order: Order) -> Result<(), QueryError> {
    ledger::leave(views.store(), order).await
}
