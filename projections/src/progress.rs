//! How far the views are, as this process knows it: what readers, waiters and the health page look at.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenure_event_log::{EventLog, Milestone, Position};
use tokio::sync::watch;

use crate::generation::Checkpoint;
use crate::view::{Versions, View};
use crate::{Problem, ProblemKind, ProjectionState, ProjectionStatus};

/// Somebody who waits longer than this waits for another process.
const BEFORE_HURRYING: Duration = Duration::from_millis(3);

/// The live generation of one view.
#[derive(Clone, Debug, Default)]
struct Lane {
    generation: u32,
    position: Position,
    problem: Option<Problem>,
}

type Lanes = [Lane; View::ALL.len()];

/// Generation and position of each view at one moment.
#[derive(PartialEq)]
pub(crate) struct Known([(u32, Position); View::ALL.len()]);

/// Shared by the projector, which writes it, and everybody else.
pub(crate) struct Progress {
    lanes: watch::Sender<Lanes>,
    /// What all lanes have passed; changed under the lanes' lock.
    passed: Milestone,
    /// See [`Progress::due`].
    due: AtomicU64,
    /// The restart of the database after which the positions were looked at.
    checked: AtomicU64,
    waiters: watch::Sender<usize>,
    building: Mutex<Vec<ProjectionStatus>>,
    versions: Versions,
}

impl Progress {
    pub fn new(versions: Versions) -> Self {
        Self {
            versions,
            lanes: watch::Sender::new(Lanes::default()),
            passed: Milestone::default(),
            due: AtomicU64::new(0),
            checked: AtomicU64::new(0),
            waiters: watch::Sender::new(0),
            building: Mutex::new(Vec::new()),
        }
    }

    /// The generation that queries read.
    pub fn generation(&self, view: View) -> u32 {
        self.lanes.borrow()[view.index()].generation
    }

    /// How far the live generation is.
    pub fn position(&self, view: View) -> Position {
        self.lanes.borrow()[view.index()].position
    }

    /// How far all live generations are.
    pub fn all_passed(&self) -> Position {
        self.passed.reached()
    }

    /// Where all live generations must be before they can be relied upon: where the log ended when they were opened, and
    /// where they had been before they fell back.
    pub fn due(&self) -> Position {
        Position::new(self.due.load(Ordering::SeqCst))
    }

    /// They can't be relied upon before this.
    pub fn expect(&self, position: Position) {
        self.due.fetch_max(position.get(), Ordering::SeqCst);
    }

    /// What stops the view.
    pub fn problem(&self, view: View) -> Option<Problem> {
        self.lanes.borrow()[view.index()].problem.clone()
    }

    /// Where the live generations are known to be, to be told apart from what is found committed later.
    pub fn known(&self) -> Known {
        Known(self.lanes.borrow().each_ref().map(|lane| (lane.generation, lane.position)))
    }

    /// Takes over committed checkpoints: the generation becomes what queries read before its position is known to be
    /// passed. Neither falls here, since a look may be older than what is known by now.
    pub fn reached(&self, checkpoints: &[Checkpoint]) {
        self.lanes.send_if_modified(|lanes| {
            let mut moved = false;
            for Checkpoint { view, generation, position } in checkpoints {
                let lane = &mut lanes[view.index()];
                if *generation < lane.generation {
                    continue;
                }
                moved |= *generation > lane.generation || *position > lane.position;
                lane.generation = *generation;
                lane.position = lane.position.max(*position);
                let passed = lane.problem.as_ref().is_some_and(|p| p.position.is_none_or(|stop| stop <= *position));
                if passed {
                    lane.problem = None;
                    moved = true;
                }
            }
            if moved {
                self.passed.set(hindmost(lanes));
            }
            moved
        });
    }

    /// Takes back what a crash of the database undid: the last commits are not flushed one by one. `known` was asked for
    /// before the checkpoints were, so whatever of it is not committed is lost. Answers the views that fell back.
    pub fn fell_back(&self, known: &Known, committed: &[Checkpoint]) -> Vec<View> {
        let is_lost = |checkpoint: &&Checkpoint| {
            let (generation, position) = known.0[checkpoint.view.index()];
            checkpoint.generation < generation || checkpoint.position < position
        };
        let lost: Vec<&Checkpoint> = committed.iter().filter(is_lost).collect();
        if !lost.is_empty() {
            self.lanes.send_modify(|lanes| {
                for checkpoint in &lost {
                    self.expect(known.0[checkpoint.view.index()].1);
                    let lane = &mut lanes[checkpoint.view.index()];
                    (lane.generation, lane.position) = (checkpoint.generation, checkpoint.position);
                }
                self.passed.set(hindmost(lanes));
            });
        }
        lost.into_iter().map(|checkpoint| checkpoint.view).collect()
    }

    /// Up to which restart of the database the positions are known to be what is committed.
    pub fn checked(&self) -> u64 {
        self.checked.load(Ordering::SeqCst)
    }

    /// They were looked at after so many restarts.
    pub fn check(&self, restarts: u64) {
        self.checked.fetch_max(restarts, Ordering::SeqCst);
    }

    /// The view stands still.
    pub fn stopped(&self, view: View, problem: Problem) {
        self.lanes.send_modify(|lanes| lanes[view.index()].problem = Some(problem));
        self.passed.disturb();
    }

    /// Waits until all live generations have passed a position; false if they have not in time, or one can't.
    pub async fn wait_for(&self, log: &EventLog, position: Position, timeout: Duration) -> bool {
        let passed = || self.passed.passed_unless(position, || poisoned(&self.lanes.borrow(), position));
        if let Ok(passed) = tokio::time::timeout(timeout.min(BEFORE_HURRYING), passed()).await {
            return passed;
        }
        let _hurry = log.hurry();
        let _waiter = Waiter::new(&self.waiters);
        tokio::time::timeout(timeout.saturating_sub(BEFORE_HURRYING), passed()).await.unwrap_or(false)
    }

    /// Resolves when one view is known to be further than a position.
    pub async fn moved_past(&self, view: View, position: Position) {
        // The sender lives as long as this does.
        let _ = self.lanes.subscribe().wait_for(|lanes| lanes[view.index()].position > position).await;
    }

    /// True while somebody waits.
    pub fn is_awaited(&self) -> bool {
        *self.waiters.borrow() > 0
    }

    /// Resolves as soon as somebody waits.
    pub async fn awaited(&self) {
        // The sender lives as long as this does.
        let _ = self.waiters.subscribe().wait_for(|waiters| *waiters > 0).await;
    }

    /// Every generation, live ones first.
    pub fn status(&self) -> Vec<ProjectionStatus> {
        let lanes = self.lanes.borrow().clone();
        let live = View::ALL.into_iter().zip(lanes).map(|(view, lane)| ProjectionStatus {
            name: view.name(),
            version: self.versions.of(view),
            generation: lane.generation,
            state: ProjectionState::Live,
            position: lane.position,
            problem: lane.problem,
        });
        let building = self.building.lock().map(|building| building.clone()).unwrap_or_default();
        live.chain(building).collect()
    }

    /// A generation is being built; false if the view is being rebuilt already.
    pub fn begin_building(&self, view: View) -> bool {
        let Ok(mut building) = self.building.lock() else { return false };
        if building.iter().any(|status| status.name == view.name()) {
            return false;
        }
        building.push(ProjectionStatus {
            name: view.name(),
            version: self.versions.of(view),
            generation: 0,
            state: ProjectionState::Building,
            position: Position::START,
            problem: None,
        });
        true
    }

    /// How far the new generation is.
    pub fn building(&self, view: View, generation: u32, position: Position) {
        if let Ok(mut building) = self.building.lock()
            && let Some(status) = building.iter_mut().find(|status| status.name == view.name())
        {
            (status.generation, status.position) = (generation, position);
        }
    }

    /// It is live, or given up.
    pub fn end_building(&self, view: View) {
        if let Ok(mut building) = self.building.lock() {
            building.retain(|status| status.name != view.name());
        }
    }
}

/// What all lanes have passed.
fn hindmost(lanes: &Lanes) -> Position {
    lanes.iter().map(|lane| lane.position).min().unwrap_or_default()
}

/// A poisoned view does not pass its poison while somebody waits: there is no use in waiting.
fn poisoned(lanes: &Lanes, position: Position) -> bool {
    lanes
        .iter()
        .filter_map(|lane| lane.problem.as_ref())
        .any(|problem| problem.kind == ProblemKind::Poison && problem.position.is_some_and(|stop| stop <= position))
}

struct Waiter<'a>(&'a watch::Sender<usize>);

impl<'a> Waiter<'a> {
    fn new(waiters: &'a watch::Sender<usize>) -> Self {
        // The projector needs to know of the first one only.
        waiters.send_if_modified(|waiters| {
            *waiters += 1;
            *waiters == 1
        });
        Self(waiters)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|waiters| {
            *waiters -= 1;
            *waiters == 0
        });
    }
}
