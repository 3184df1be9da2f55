//! What the writer counts about itself, for whoever shows it to operators.
//!
//! Plain atomics, written on the hot path and read at leisure: nobody waits for anybody, and a reader may see one figure a
//! moment before another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::BatchAnswer;

/// Bounds of [`WriterStats::batch_members`].
const MEMBERS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Bounds of [`WriterStats::append_micros`]: from a flash disk's flush to an outage.
const APPEND_MICROS: &[u64] =
    &[250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// See [`WriterStats::recent_failure`].
const FAILURE_SHOWN_FOR: Duration = Duration::from_secs(10);

/// How often a value fell between which bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One per bound, and a last one for what is above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram as it stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Upper bounds, inclusive, ascending.
    pub bounds: &'static [u64],
    /// How many values fell into each bucket, not counting lower ones; one more than there are bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// An empty one with these upper bounds, inclusive and ascending.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts one value.
    pub fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts one duration, in microseconds.
    pub fn observe_micros(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Distribution {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// What the writer of this process did since it started.
#[derive(Debug)]
pub struct WriterStats {
    /// Appends that the engine took together.
    pub batch_members: Histogram,
    /// How long the engine took for a batch, in microseconds, flush included.
    pub append_micros: Histogram,
    committed: AtomicU64,
    refused: AtomicU64,
    failures: AtomicU64,
    /// Only touched when something fails.
    failure: Mutex<Option<(Instant, String)>>,
    failing: AtomicBool,
}

impl WriterStats {
    pub(crate) fn new() -> Self {
        Self {
            batch_members: Histogram::new(MEMBERS),
            append_micros: Histogram::new(APPEND_MICROS),
            committed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            failure: Mutex::new(None),
            failing: AtomicBool::new(false),
        }
    }

    /// One call of the engine with a batch.
    pub(crate) fn attempted(&self, took: Duration, answer: Result<&BatchAnswer, String>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), failure));
                self.failing.store(true, Ordering::Release);
                return;
            }
        };
        self.failing.store(false, Ordering::Release);
        self.append_micros.observe_micros(took);
        self.batch_members.observe(answer.len() as u64);
        let committed = answer.iter().filter(|member| member.is_ok()).count() as u64;
        self.committed.fetch_add(committed, Ordering::Relaxed);
        self.refused.fetch_add(answer.len() as u64 - committed, Ordering::Relaxed);
    }

    /// Appends that were committed. One whose answer was lost and found later is not among them.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Appends that broke a rule of the log, most of which are decided again and repeated.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Batches that the engine did not answer for: it was away, refused them, or its answer was lost.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// What went wrong with the last batch, if that was within the last 10 seconds. An older failure is forgotten: whoever
    /// keeps appends away because of it would never learn that the engine is well again.
    #[must_use]
    pub fn recent_failure(&self) -> Option<String> {
        if !self.failing.load(Ordering::Acquire) {
            return None;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.filter(|(at, _)| at.elapsed() < FAILURE_SHOWN_FOR).map(|(_, failure)| failure)
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_value_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, 1_000] {
            histogram.observe(value);
        }
        let seen = histogram.snapshot();
        assert_eq!((seen.counts, seen.sum), (vec![2, 2, 2], 1_024));
    }
}
