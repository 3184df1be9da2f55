//! Following the log: every event once, in position order, with none left out.
//!
//! A commit of this process wakes the feeds at once. What another process commits is found by looking again: each 100 ms,
//! or each 5 ms while somebody waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::{EventLog, Position, ReadError, RecordedEvent};

const POLL: Duration = Duration::from_millis(100);
const HURRIED_POLL: Duration = Duration::from_millis(5);

/// A reader's place in the log. Dropping the future of [`Feed::next`] loses nothing.
#[derive(Debug)]
pub struct Feed {
    log: EventLog,
    position: Position,
    commits: watch::Receiver<Position>,
    hurries: watch::Receiver<usize>,
}

impl Feed {
    pub(crate) fn new(
        log: EventLog,
        position: Position,
        commits: watch::Receiver<Position>,
        hurries: watch::Receiver<usize>,
    ) -> Self {
        Self { log, position, commits, hurries }
    }

    /// The position of the last event that was handed over.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The next events, sealed: at least one, at most `limit` (0 counts as 1). Waits until there is one.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the log can't be read; the feed stays where it is, so calling again goes on from there.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        loop {
            // Before the read, so that a commit during it wakes the wait below.
            self.commits.borrow_and_update();
            let mut events = self.log.recent(self.position, limit.max(1));
            if events.is_empty() {
                events = self.log.read(self.position, limit.max(1)).await?.into_iter().map(Arc::new).collect();
            }
            if let Some(last) = events.last() {
                self.position = last.position;
                return Ok(events);
            }
            self.wait().await;
        }
    }

    /// Until it is worth looking again.
    async fn wait(&mut self) {
        let started = tokio::time::Instant::now();
        loop {
            let poll = if *self.hurries.borrow_and_update() > 0 { HURRIED_POLL } else { POLL };
            tokio::select! {
                // A closed channel answers at once and for ever: without a writer there is only the poll.
                Ok(()) = self.commits.changed() => return,
                () = tokio::time::sleep_until(started + poll) => return,
                Ok(()) = self.hurries.changed() => {}
            }
        }
    }
}

/// While one lives, feeds of this process look for other processes' commits every 5 ms instead of every 100 ms.
#[derive(Debug)]
pub struct Hurry {
    hurries: watch::Sender<usize>,
}

impl Hurry {
    pub(crate) fn new(hurries: watch::Sender<usize>) -> Self {
        // Feeds need to know of the first one only; hundreds may wait at a time.
        hurries.send_if_modified(|count| {
            *count += 1;
            *count == 1
        });
        Self { hurries }
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.hurries.send_if_modified(|count| {
            *count -= 1;
            *count == 0
        });
    }
}
