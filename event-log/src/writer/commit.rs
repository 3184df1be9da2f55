//! The writer's task: one batch after the other, each seen through until every member has its answer.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::collect::{Batch, Lanes};
use super::{Refusal, unavailable};
use crate::append::Appended;
use crate::clock::Clock;
use crate::engine::{BatchAnswer, Engine, EngineError};
use crate::position::Position;
use crate::recent::Recent;
use crate::stats::WriterStats;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Where a member's caller waits.
pub(super) type Reply = oneshot::Sender<Result<Appended, Refusal>>;

pub(super) struct Committer {
    engine: Engine,
    clock: Clock,
    patience: Duration,
    lanes: Lanes,
    commits: watch::Sender<Position>,
    recent: Arc<Recent>,
    stop: watch::Receiver<bool>,
    stats: Arc<WriterStats>,
    /// When the task was told to stop.
    stopping: Option<Instant>,
    /// The engine has not answered since a batch was given up: nobody is made to wait out the patience again.
    down: bool,
}

/// An engine that fails: since when, and how long to leave it alone.
struct Outage {
    since: Instant,
    pause: Duration,
}

impl Committer {
    pub fn new(
        engine: Engine,
        clock: Clock,
        patience: Duration,
        lanes: Lanes,
        (commits, recent): (watch::Sender<Position>, Arc<Recent>),
        stop: watch::Receiver<bool>,
        stats: Arc<WriterStats>,
    ) -> Self {
        Self { engine, clock, patience, lanes, commits, recent, stop, stats, stopping: None, down: false }
    }

    pub async fn run(mut self) {
        loop {
            self.notice_stop();
            let batch = self.lanes.collect();
            if !batch.is_empty() {
                self.see_through(batch).await;
                continue;
            }
            tokio::select! {
                Ok(_) = self.stop.wait_for(|stop| *stop), if self.stopping.is_none() => {}
                more = self.lanes.wait() => if !more { return },
            }
        }
    }

    fn notice_stop(&mut self) {
        if self.stopping.is_none() && *self.stop.borrow_and_update() {
            self.stopping = Some(Instant::now());
            self.lanes.close();
        }
    }

    /// Commits a batch. A statement that the engine refuses is taken apart until the member at fault stands alone.
    async fn see_through(&mut self, batch: Batch) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let Some(refused) = self.commit(&mut part).await else { continue };
            if part.len() > 1 {
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
                continue;
            }
            let reason = describe(&refused);
            tracing::error!(error = reason, "the engine refused an append");
            refuse(part.replies, &reason, false);
        }
    }

    /// Until every member is answered, or the engine refuses the statement as it is.
    async fn commit(&mut self, batch: &mut Batch) -> Option<EngineError> {
        let mut outage: Option<Outage> = None;
        let mut unknown = false;
        while !batch.is_empty() {
            let failure = if unknown {
                match self.engine.find_committed(&batch.prepared).await {
                    Ok(found) => {
                        self.deliver_found(batch, found);
                        unknown = false;
                        continue;
                    }
                    Err(failure) => failure,
                }
            } else {
                let began = Instant::now();
                let answer = self.engine.append_batch(&batch.prepared, self.clock).await;
                self.stats.attempted(began.elapsed(), answer.as_ref().map_err(describe));
                match answer {
                    Ok(answer) => {
                        self.deliver(batch, answer);
                        self.recovered(outage.is_some());
                        return None;
                    }
                    Err(failure @ (EngineError::Refused(_) | EngineError::Corrupt(_))) => return Some(failure),
                    Err(failure) => failure,
                }
            };
            unknown |= matches!(failure, EngineError::AnswerLost(_));
            if self.gives_up(batch, &failure, unknown, outage.get_or_insert_with(|| Outage::begin(&failure))) {
                return None;
            }
            self.pause(outage.as_mut()).await;
        }
        self.recovered(outage.is_some());
        None
    }

    /// Answers whoever must not wait any longer. True when that is the batch itself.
    fn gives_up(&mut self, batch: &mut Batch, failure: &EngineError, unknown: bool, outage: &Outage) -> bool {
        self.notice_stop();
        let skewed = matches!(failure, EngineError::ClockSkew { .. });
        let impatient = self.down || skewed || outage.since.elapsed() >= self.patience;
        if unknown {
            // Those that were never sent can be told; the batch itself only when there is no time left to find out.
            if impatient {
                self.refuse_waiting(failure);
            }
            let last_call = self.stopping.is_some_and(|since| since.elapsed() >= self.patience);
            if last_call {
                tracing::error!(members = batch.len(), "stopped without knowing whether a batch was committed");
                refuse(batch.replies.drain(..), &describe(failure), true);
            }
            return last_call;
        }
        if impatient {
            tracing::warn!(error = describe(failure), members = batch.len(), "appends given up, none was written");
            refuse(batch.replies.drain(..), &describe(failure), false);
            if !skewed {
                self.refuse_waiting(failure);
                self.down = true;
            }
        }
        impatient
    }

    fn refuse_waiting(&mut self, failure: &EngineError) {
        refuse(self.lanes.drain().into_iter().map(|member| member.reply), &describe(failure), false);
    }

    async fn pause(&mut self, outage: Option<&mut Outage>) {
        let Some(outage) = outage else { return };
        let pause = outage.pause;
        outage.pause = (pause * 2).min(LONGEST_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(_) = self.stop.wait_for(|stop| *stop), if self.stopping.is_none() => {}
        }
    }

    fn recovered(&mut self, failed: bool) {
        if failed || self.down {
            tracing::info!("the log can be written again");
        }
        self.down = false;
    }

    fn deliver(&self, batch: &mut Batch, answer: BatchAnswer) {
        // Before the announcement: who is woken by it finds them.
        let prepared = Arc::unwrap_or_clone(std::mem::take(&mut batch.prepared));
        let committed = prepared.into_iter().zip(&answer);
        self.recent.committed(committed.filter_map(|(prepared, answer)| Some((prepared, *answer.as_ref().ok()?))));
        self.announce(answer.iter().flatten());
        for (reply, answer) in batch.replies.drain(..).zip(answer) {
            // Whoever stopped waiting does not want to know.
            let _ = reply.send(answer.map_err(Refusal::Offence));
        }
    }

    /// Answers those that are in the log and leaves the others in the batch.
    fn deliver_found(&self, batch: &mut Batch, found: Vec<Option<Appended>>) {
        self.announce(found.iter().flatten());
        let lost = std::mem::take(batch);
        for ((prepared, reply), found) in Arc::unwrap_or_clone(lost.prepared).into_iter().zip(lost.replies).zip(found) {
            match found {
                Some(appended) => drop(reply.send(Ok(appended))),
                None => batch.push(prepared, reply),
            }
        }
    }

    /// Before the answers: whoever gets one and waits for a view finds the feeds awake.
    fn announce<'a>(&self, appended: impl Iterator<Item = &'a Appended>) {
        if let Some(last) = appended.map(|appended| appended.last).max() {
            self.commits.send_if_modified(|head| {
                let moved = last > *head;
                *head = last.max(*head);
                moved
            });
        }
    }
}

impl Outage {
    fn begin(failure: &EngineError) -> Self {
        tracing::warn!(error = describe(failure), "a batch was not committed, trying again");
        Self { since: Instant::now(), pause: FIRST_PAUSE }
    }
}

fn refuse(replies: impl IntoIterator<Item = Reply>, reason: &str, unknown: bool) {
    for reply in replies {
        let _ = reply.send(Err(unavailable(reason, unknown)));
    }
}

/// An error with its causes, for the operator. Some drivers' errors repeat their cause themselves.
fn describe(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
