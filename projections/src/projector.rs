//! The loop that keeps the live generations up to date: one per process, for all views.
//!
//! Usually all views stand at the same position and go on together: one page of the log, one transaction. Each has its
//! own checkpoint and its own failure all the same. A view that stands before an event it can't apply is left out of the
//! others' transactions and tried again later; one whose checkpoint another instance holds is followed.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tenure_event_log::{Feed, Position, ReadError};
use tokio::time::Instant;

use crate::apply::{self, Applied, Page};
use crate::batch::{Move, Session, StoreError};
use crate::generation::{self, Checkpoint, checkpoint_name};
use crate::rows::Rows;
use crate::view::View;
use crate::views::Shared;
use crate::{OpenError, Problem, ProblemKind};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How often the committed checkpoints are looked at when another instance does the work.
const FOLLOW: Duration = Duration::from_millis(50);
const FOLLOW_HURRIED: Duration = Duration::from_millis(5);
/// How often they are looked at when there is nothing to do: another instance may have swapped a generation, or got
/// past what stops this one.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// What one view's projector remembers between batches.
struct Lane {
    rows: Option<Rows>,
    retry: Option<Retry>,
}

#[derive(Clone, Copy)]
struct Retry {
    at: Instant,
    delay: Duration,
}

pub(crate) struct Projector {
    shared: Arc<Shared>,
    session: Option<Session>,
    lanes: [Lane; View::ALL.len()],
    page: Arc<Page>,
}

/// What a round came to.
enum Round {
    /// Something was applied, or somebody else had applied it.
    Moved,
    /// Another instance holds what is left.
    Busy,
}

impl Projector {
    pub fn new(shared: Arc<Shared>) -> Self {
        let page = Arc::new(Page::empty(shared.progress.all_passed()));
        Self { shared, session: None, lanes: View::ALL.map(|_| Lane { rows: None, retry: None }), page }
    }

    pub async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut feed = shared.log.feed(shared.progress.all_passed());
        let mut outage = FIRST_RETRY;
        while !shared.is_stopping() {
            match self.step(&mut feed).await {
                Ok(()) => outage = FIRST_RETRY,
                Err(error) => {
                    tracing::warn!(%error, "the views can't be brought up to date");
                    self.unavailable(&error);
                    self.pause(outage).await;
                    outage = (outage * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// One round if there is something to do, otherwise a wait until there is.
    async fn step(&mut self, feed: &mut Feed) -> Result<(), Failure> {
        let due: Vec<View> = View::ALL.into_iter().filter(|view| self.is_due(*view)).collect();
        let behind = due.iter().any(|view| {
            self.lanes[view.index()].retry.is_some()
                || self.shared.progress.position(*view) < feed.position().max(self.page.end())
        });
        if !behind {
            return self.idle(feed).await;
        }
        let before = self.shared.progress.known();
        match self.round(&due).await? {
            // The log ends before what was read of it, after a failover that lost its end: nothing there to hurry for.
            Round::Moved if self.shared.progress.known() == before && due.iter().all(|view| self.is_due(*view)) => {
                self.pause(FOLLOW).await;
                Ok(())
            }
            Round::Moved => Ok(()),
            Round::Busy => {
                if self.shared.progress.is_awaited() {
                    self.pause(FOLLOW_HURRIED).await;
                } else {
                    tokio::select! {
                        () = self.pause(FOLLOW) => {}
                        () = self.shared.progress.awaited() => {}
                    }
                }
                self.follow().await
            }
        }
    }

    fn is_due(&self, view: View) -> bool {
        self.lanes[view.index()].retry.is_none_or(|retry| retry.at <= Instant::now())
    }

    /// Where the hindmost view stands of those that nothing stops.
    fn next_to_apply(&self) -> Option<Position> {
        let going = View::ALL.into_iter().filter(|view| self.lanes[view.index()].retry.is_none());
        going.map(|view| self.shared.progress.position(view)).min()
    }

    /// Waits for events, for a retry's time, or for a look around.
    async fn idle(&mut self, feed: &mut Feed) -> Result<(), Failure> {
        let retry = self.lanes.iter().filter_map(|lane| lane.retry).map(|retry| retry.at).min();
        let look = Instant::now() + LOOK_AROUND;
        let until = retry.map_or(look, |retry| retry.min(look));
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = shared.stopped() => Ok(()),
            page = feed_page(feed, shared.config.max_batch) => {
                self.page = Arc::new(match page {
                    Ok(page) => page,
                    // One row of the page is not what was written: what stands before it is applied all the same.
                    Err(error) if is_corrupt(&error) => match self.next_to_apply() {
                        Some(position) => self.read(position).await?,
                        None => return Err(error.into()),
                    },
                    Err(error) => return Err(error.into()),
                });
                Ok(())
            }
            () = tokio::time::sleep_until(until) => self.follow().await,
        }
    }

    /// Takes the free checkpoints of these views and applies what follows them, all in one transaction; each in one of
    /// its own if the database refuses.
    async fn round(&mut self, views: &[View]) -> Result<Round, Failure> {
        let limit = self.shared.config.max_batch.max(1);
        match self.attempt(views, limit).await {
            Err(Failure::Store(StoreError::Refused(error))) => {
                tracing::warn!(%error, "a batch was refused: applying each view's by itself");
                for view in views {
                    self.alone(*view, limit).await?;
                }
                Ok(Round::Moved)
            }
            other => other,
        }
    }

    /// Applies one view's batch by itself, in ever smaller parts, until it is known which event's rows are refused.
    async fn alone(&mut self, view: View, mut limit: usize) -> Result<(), Failure> {
        loop {
            match self.attempt(&[view], limit).await {
                Err(Failure::Store(error @ StoreError::Refused(_))) if limit == 1 => {
                    let position = self.shared.progress.position(view);
                    let page = self.page_after(position).await?;
                    if let Some(problem) = apply::refused(&page, position, &error) {
                        self.stop(view, problem);
                    }
                    return Ok(());
                }
                Err(Failure::Store(StoreError::Refused(_))) => limit = (limit / 8).max(1),
                other => return other.map(drop),
            }
        }
    }

    #[tracing::instrument(level = "debug", name = "projection.batch", skip_all, fields(views = views.len()))]
    async fn attempt(&mut self, views: &[View], limit: usize) -> Result<Round, Failure> {
        let mut session = if let Some(session) = self.session.take() {
            session
        } else {
            let session = self.shared.store.session().await?;
            // The database may have crashed meanwhile.
            self.follow().await?;
            session
        };
        let done = self.transact(&mut session, views, limit).await;
        if done.is_err() {
            // What was changed in memory is not what is in the tables.
            for lane in &mut self.lanes {
                lane.rows = None;
            }
            session.rollback().await?;
        }
        self.session = Some(session);
        done
    }

    /// The usual case in one call: these views stand where this process left them. `None` if that can't be said or turns out
    /// wrong, or if something stops one of them; then nothing is written.
    ///
    /// Rows are loaded before the checkpoints are looked at: if these have not moved, nobody has written in between.
    async fn leap(&mut self, session: &mut Session, views: &[View], limit: usize) -> Result<Option<Round>, Failure> {
        let known = |lane: &Lane, view: &View| {
            let progress = &self.shared.progress;
            let (generation, position) = (progress.generation(*view), progress.position(*view));
            lane.rows.as_ref().is_some_and(|rows| rows.generation() == generation && rows.position == position)
        };
        if !views.iter().all(|view| known(&self.lanes[view.index()], view)) {
            return Ok(None);
        }
        let (mut changes, mut moves) = (Vec::new(), Vec::new());
        let mut applied: Vec<(View, Applied)> = Vec::new();
        for view in views {
            let Some(rows) = self.lanes[view.index()].rows.take() else { return Ok(None) };
            let (generation, from) = (rows.generation(), rows.position);
            let page = self.page_after(from).await?;
            let mut done = apply::apply(session, *view, rows, &page, limit).await?;
            if done.problem.is_some() || done.position <= from {
                return Ok(None);
            }
            changes.extend(done.rows.changes());
            let checkpoint = checkpoint_name(*view, generation);
            moves.push(Move { checkpoint, from: from.get(), to: done.position.get() });
            applied.push((*view, done));
        }
        if !session.leap(changes, moves).await? {
            return Ok(None);
        }
        let reached = |(view, done): &(View, Applied)| Checkpoint {
            view: *view,
            generation: done.rows.generation(),
            position: done.position,
        };
        self.shared.progress.reached(&applied.iter().map(reached).collect::<Vec<_>>());
        for (view, Applied { mut rows, position, .. }) in applied {
            rows.committed(position);
            self.lanes[view.index()] = Lane { rows: Some(rows), retry: None };
        }
        Ok(Some(Round::Moved))
    }

    async fn transact(&mut self, session: &mut Session, views: &[View], limit: usize) -> Result<Round, Failure> {
        if let Some(round) = self.leap(session, views, limit).await? {
            return Ok(round);
        }
        let wanted: Vec<_> = views.iter().map(|view| (view.name(), self.shared.versions.of(*view))).collect();
        let taken = session.begin(&wanted).await?;
        let (mut changes, mut moves) = (Vec::new(), Vec::new());
        let mut applied: Vec<(Checkpoint, Applied)> = Vec::new();
        for checkpoint in &taken {
            let page = self.page_after(checkpoint.position).await?;
            let rows = self.rows(*checkpoint);
            let mut done = apply::apply(session, checkpoint.view, rows, &page, limit).await?;
            if done.position > checkpoint.position {
                changes.extend(done.rows.changes());
                moves.push((checkpoint_name(checkpoint.view, checkpoint.generation), done.position.get()));
            }
            applied.push((Checkpoint { position: done.position, ..*checkpoint }, done));
        }
        if moves.is_empty() {
            session.rollback().await?;
        } else {
            session.write(changes, moves).await?;
            session.commit().await?;
        }
        let reached: Vec<Checkpoint> = applied.iter().map(|(checkpoint, _)| *checkpoint).collect();
        self.shared.progress.reached(&reached);
        for (checkpoint, Applied { mut rows, position, problem }) in applied {
            rows.committed(position);
            let lane = &mut self.lanes[checkpoint.view.index()];
            lane.rows = Some(rows);
            match problem {
                Some(problem) => self.stop(checkpoint.view, problem),
                None => lane.retry = None,
            }
        }
        Ok(if taken.len() == views.len() { Round::Moved } else { Round::Busy })
    }

    /// The view's cached rows, if they are as they were when its checkpoint stood where it stands now.
    fn rows(&mut self, checkpoint: Checkpoint) -> Rows {
        let Checkpoint { view, generation, position } = checkpoint;
        self.lanes[view.index()]
            .rows
            .take()
            .filter(|rows| rows.generation() == generation && rows.position == position)
            .unwrap_or_else(|| Rows::new(view.tables(), generation, position))
    }

    /// The page in hand if it goes on from there, otherwise one read now (and, before a retry, read anew).
    async fn page_after(&mut self, position: Position) -> Result<Arc<Page>, Failure> {
        if !self.page.continues(position) {
            self.page = Arc::new(self.read(position).await?);
        }
        Ok(Arc::clone(&self.page))
    }

    /// A page of the log, as large as can be read.
    async fn read(&self, after: Position) -> Result<Page, ReadError> {
        let mut limit = self.shared.config.max_batch.max(1);
        loop {
            match self.shared.log.read(after, limit).await {
                Err(error) if is_corrupt(&error) && limit > 1 => limit = (limit / 8).max(1),
                events => return Ok(Page::new(after, events?)),
            }
        }
    }

    /// Looks at what is committed: other instances may have gone on, and a crash of the database may have undone the
    /// last batches. Those are applied again.
    async fn follow(&mut self) -> Result<(), Failure> {
        let known = self.shared.progress.known();
        let mut committed = generation::committed(&self.shared.store, self.shared.versions).await?;
        if committed.len() < View::ALL.len() {
            // Nobody of this release was heard of for so long that another one cleared up.
            tracing::warn!("views of this release were given up meanwhile: building them anew");
            let mut session = self.shared.store.session().await?;
            generation::ensure_live(&mut session, self.shared.versions, &self.shared.log).await?;
            committed = generation::committed(&self.shared.store, self.shared.versions).await?;
        }
        for view in self.shared.progress.fell_back(&known, &committed) {
            tracing::warn!(view = view.name(), "the database lost the view's last batches: applying them again");
            self.lanes[view.index()] = Lane { rows: None, retry: None };
            // The log may have lost the same events.
            self.page = Arc::new(Page::empty(Position::START));
        }
        self.shared.progress.reached(&committed);
        for checkpoint in committed {
            // Somebody got past what stops us.
            if self.shared.progress.problem(checkpoint.view).is_none() {
                self.lanes[checkpoint.view.index()].retry = None;
            }
        }
        Ok(())
    }

    /// The view stands before an event. The first time is logged; it is tried again ever more rarely.
    fn stop(&mut self, view: View, problem: Problem) {
        let before = self.shared.progress.problem(view).filter(|before| before.position == problem.position);
        let lane = &mut self.lanes[view.index()];
        let delay = lane.retry.map_or(FIRST_RETRY, |retry| (retry.delay * 2).min(LAST_RETRY));
        lane.retry = Some(Retry { at: Instant::now() + delay, delay });
        // Read anew before the retry: the row may have been repaired.
        self.page = Arc::new(Page::empty(self.page.end()));
        if before.is_none() {
            tracing::error!(view = view.name(), %problem, "projection stopped");
        }
        let (since, attempts) = before.map_or((problem.since, 1), |before| (before.since, before.attempts + 1));
        let problem = Problem { since, attempts, ..problem };
        self.shared.progress.stopped(view, problem);
    }

    /// A database can't be used, or the log's next row is corrupt: that concerns every view that has no problem of its
    /// own.
    fn unavailable(&mut self, error: &Failure) {
        self.session = None;
        let (kind, position) = match error {
            Failure::Log(error) if is_corrupt(error) => (ProblemKind::Poison, self.next_to_apply().map(Position::next)),
            Failure::Log(_) | Failure::Store(_) | Failure::Open(_) => (ProblemKind::Unavailable, None),
        };
        for view in View::ALL {
            let before = self.shared.progress.problem(view);
            if self.lanes[view.index()].retry.is_some() {
                continue;
            }
            let (since, attempts) = before.map_or((Utc::now(), 0), |before| (before.since, before.attempts));
            let problem =
                Problem { kind, position, event_type: None, error: error.chain(), since, attempts: attempts + 1 };
            self.shared.progress.stopped(view, problem);
        }
    }

    async fn pause(&self, time: Duration) {
        // Whichever comes first.
        let _ = tokio::time::timeout(time, self.shared.stopped()).await;
    }
}

async fn feed_page(feed: &mut Feed, limit: usize) -> Result<Page, ReadError> {
    let after = feed.position();
    Ok(Page::new(after, feed.next(limit).await?))
}

fn is_corrupt(error: &ReadError) -> bool {
    match error {
        ReadError::Corrupt { .. } | ReadError::CorruptLog { .. } => true,
        ReadError::Unavailable { .. } => false,
    }
}

/// Why a round broke off.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Failure {
    /// The error with its causes.
    fn chain(&self) -> String {
        crate::history::chain(self)
    }
}
