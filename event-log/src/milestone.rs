//! A position that somebody reaches step by step, and those who wait for it.
//!
//! Unlike a watch channel it wakes a waiter once, when its own position is passed, and not at every step on the way:
//! hundreds of commands wait at the same time, each for another position.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::Position;

/// How far somebody is.
#[derive(Debug, Default)]
pub struct Milestone {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reached: Position,
    /// By what they wait for and a number of their own.
    waiters: BTreeMap<(Position, u64), oneshot::Sender<()>>,
    next: u64,
}

/// A place among the waiters, given back when the waiting ends early.
struct Waiting<'a> {
    milestone: &'a Milestone,
    key: (Position, u64),
}

impl Milestone {
    /// Begins at a position.
    #[must_use]
    pub fn new(reached: Position) -> Self {
        Self { state: Mutex::new(State { reached, ..State::default() }) }
    }

    /// How far it is.
    #[must_use]
    pub fn reached(&self) -> Position {
        self.state().reached
    }

    /// Sets how far it is, usually forward, and wakes whoever waits for that or less.
    pub fn set(&self, position: Position) {
        let passed = {
            let mut state = self.state();
            state.reached = position;
            let waiting = state.waiters.split_off(&(position.next(), 0));
            std::mem::replace(&mut state.waiters, waiting)
        };
        wake(passed);
    }

    /// Wakes everybody, so that they look again whether waiting is of use.
    pub fn disturb(&self) {
        let waiters = std::mem::take(&mut self.state().waiters);
        wake(waiters);
    }

    /// Waits until a position is reached. Dropping the future leaves nothing behind.
    pub async fn passed(&self, position: Position) {
        self.passed_unless(position, || false).await;
    }

    /// Waits until a position is reached, or until waiting is of no use: false then. Whoever makes it hopeless calls
    /// [`Milestone::disturb`] afterwards.
    pub async fn passed_unless(&self, position: Position, is_hopeless: impl Fn() -> bool) -> bool {
        loop {
            let Some((_place, woken)) = self.wait_at(position) else { return true };
            // Asked from a place among the waiters, so that no disturbance from now on is missed.
            if is_hopeless() {
                return false;
            }
            // The sender is only ever dropped with the place.
            let _ = woken.await;
        }
    }

    /// A place among the waiters; `None` if there is nothing to wait for.
    fn wait_at(&self, position: Position) -> Option<(Waiting<'_>, oneshot::Receiver<()>)> {
        let mut state = self.state();
        if state.reached >= position {
            return None;
        }
        let (sender, woken) = oneshot::channel();
        let key = (position, state.next);
        state.next += 1;
        state.waiters.insert(key, sender);
        Some((Waiting { milestone: self, key }, woken))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.milestone.state().waiters.remove(&self.key);
    }
}

fn wake(waiters: BTreeMap<(Position, u64), oneshot::Sender<()>>) {
    for waiter in waiters.into_values() {
        // Whoever stopped waiting does not want to know.
        let _ = waiter.send(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_is_woken_by_its_own_position() {
        let milestone = Arc::new(Milestone::new(Position::new(3)));
        milestone.passed(Position::new(3)).await;
        let wait = |position| {
            let milestone = Arc::clone(&milestone);
            tokio::spawn(async move { milestone.passed(Position::new(position)).await })
        };
        let (early, late) = (wait(5), wait(9));
        tokio::task::yield_now().await;
        milestone.set(Position::new(7));
        early.await.unwrap();
        assert!(!late.is_finished());
        milestone.set(Position::new(9));
        late.await.unwrap();
    }

    #[tokio::test]
    async fn who_is_disturbed_looks_whether_waiting_is_of_use() {
        let (milestone, hopeless) = (Arc::new(Milestone::default()), Arc::new(AtomicBool::new(false)));
        let waiting = tokio::spawn({
            let (milestone, hopeless) = (Arc::clone(&milestone), Arc::clone(&hopeless));
            async move { milestone.passed_unless(Position::new(1), || hopeless.load(Ordering::SeqCst)).await }
        });
        tokio::task::yield_now().await;
        milestone.disturb();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "there is hope");
        hopeless.store(true, Ordering::SeqCst);
        milestone.disturb();
        assert!(!waiting.await.unwrap());
    }

    #[tokio::test]
    async fn giving_up_leaves_no_waiter_behind() {
        let milestone = Milestone::default();
        let late = tokio::time::timeout(Duration::from_millis(1), milestone.passed(Position::new(1))).await;
        assert!(late.is_err());
        assert!(milestone.state().waiters.is_empty());
    }
}
