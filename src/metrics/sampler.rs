//! What must be asked of the database is asked in the background, so that no scrape waits for it or fails with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tenure_event_log::EventLog;
use tokio::task::JoinHandle;

/// How often the database is asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer is shown.
const SHOWN_FOR: Duration = Duration::from_secs(20);

/// Asks until it is dropped.
pub struct Sampler {
    latest: Arc<Mutex<Option<Sample>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    oldest_snapshot_age: u64,
}

impl Sampler {
    /// Begins to ask.
    pub fn start(log: EventLog) -> Self {
        let latest = Arc::new(Mutex::new(None));
        let task = tokio::spawn({
            let latest = Arc::clone(&latest);
            async move {
                loop {
                    // An answer that is late or an error leaves the last one to grow old: other figures tell of outages.
                    if let Ok(Ok(age)) = tokio::time::timeout(PATIENCE, log.oldest_snapshot_age()).await {
                        let Some(oldest_snapshot_age) = age else { return };
                        let sample = Sample { at: Instant::now(), oldest_snapshot_age };
                        *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
                    }
                    tokio::time::sleep(EVERY).await;
                }
            }
        });
        Self { latest, task }
    }

    /// In transactions; `None` on an engine without snapshots, and while the database does not answer.
    pub fn oldest_snapshot_age(&self) -> Option<u64> {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.filter(|sample| sample.at.elapsed() <= SHOWN_FOR).map(|sample| sample.oldest_snapshot_age)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}
