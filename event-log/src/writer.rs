//! The one writer of a process: collects whatever appends wait and commits them together.
//!
//! Two bounded lanes lead to one task. While it waits for the engine to flush a batch, the next one gathers in the lanes.
//! Members that touch the same stream, name or counter never share a batch, so that any of them can be left out without
//! a thought for the others.

mod collect;
mod commit;
mod footprint;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::append::{AppendError, Appended, Lane};
use crate::config::LogConfig;
use crate::engine::{Engine, Offence, Prepared};
use crate::position::Position;
use crate::recent::Recent;
use crate::stats::WriterStats;
use collect::Lanes;
use commit::Committer;
use footprint::Footprint;

/// Why a member was not written.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A rule; the rest of its batch was written.
    Offence(Offence),
    /// Anything else.
    Error(AppendError),
}

/// An append on its way, with the place where its caller waits.
#[derive(Debug)]
struct Member {
    prepared: Prepared,
    footprint: Footprint,
    reply: oneshot::Sender<Result<Appended, Refusal>>,
}

/// Hands appends to the writer's task.
#[derive(Debug)]
pub(crate) struct Writer {
    foreground: mpsc::Sender<Member>,
    background: mpsc::Sender<Member>,
    stats: Arc<WriterStats>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task. It ends when it was stopped, or when the last handle is gone; either way after it has committed
    /// what was accepted.
    pub fn start(engine: Engine, config: &LogConfig, commits: watch::Sender<Position>, recent: Arc<Recent>) -> Self {
        let (foreground, foreground_lane) = mpsc::channel(config.queue_capacity.max(1));
        let (background, background_lane) = mpsc::channel(config.queue_capacity.max(1));
        let stop = watch::Sender::new(false);
        let stats = Arc::new(WriterStats::new());
        let committer = Committer::new(
            engine,
            config.clock,
            Duration::from_millis(config.outage_patience_ms),
            Lanes::new(foreground_lane, background_lane, config.max_batch.max(1)),
            (commits, recent),
            stop.subscribe(),
            Arc::clone(&stats),
        );
        let task = Mutex::new(Some(tokio::spawn(committer.run())));
        Self { foreground, background, stats, stop, task }
    }

    /// Waits for a place in a batch and for the batch's commit. Once in a lane the append is seen through, even if the
    /// returned future is dropped.
    pub async fn append(&self, prepared: Prepared, lane: Lane) -> Result<Appended, Refusal> {
        let footprint = Footprint::of(&prepared).map_err(|mistake| Refusal::Error(AppendError::Malformed(mistake)))?;
        // The lanes close only when the batch that is under way is done.
        if *self.stop.borrow() {
            return Err(unavailable("it is shutting down", false));
        }
        let (reply, answer) = oneshot::channel();
        let lane = match lane {
            Lane::Foreground => &self.foreground,
            Lane::Background => &self.background,
        };
        lane.try_send(Member { prepared, footprint, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Refusal::Error(AppendError::Overloaded),
            mpsc::error::TrySendError::Closed(_) => unavailable("it is shutting down", false),
        })?;
        answer.await.unwrap_or_else(|_| Err(unavailable("the writer stopped", true)))
    }

    /// What the task did so far.
    pub fn stats(&self) -> &WriterStats {
        &self.stats
    }

    /// How many appends wait in a lane, without those of the batch under way.
    pub fn waiting(&self, lane: Lane) -> usize {
        let lane = match lane {
            Lane::Foreground => &self.foreground,
            Lane::Background => &self.background,
        };
        lane.max_capacity() - lane.capacity()
    }

    /// Refuses further appends and waits until those that were accepted are answered.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the log's writer did not stop in order");
        }
    }
}

fn unavailable(reason: impl Into<String>, unknown: bool) -> Refusal {
    Refusal::Error(AppendError::Unavailable { reason: reason.into(), unknown })
}
