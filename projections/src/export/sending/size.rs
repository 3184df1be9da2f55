//! How many events go into a transaction.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// As many as the brokers take in well below the two seconds that no transaction may last.
const MOST: usize = 10_000;
/// So few that only a failure is a reason for fewer.
const FEWEST: usize = 100;
const AT_FIRST: usize = 1_000;
const TOO_LONG: Duration = Duration::from_millis(800);
const QUICK: Duration = Duration::from_millis(300);

/// Follows what the network takes. It outlives failures: a transaction that the brokers ended because it took too long must not
/// be tried again with as many events, for ever.
#[derive(Debug)]
pub(crate) struct Size(AtomicUsize);

impl Default for Size {
    fn default() -> Self {
        Self(AtomicUsize::new(AT_FIRST))
    }
}

impl Size {
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A transaction was committed; full if it held as many events as it might.
    pub fn committed(&self, took: Duration, is_full: bool) {
        let size = self.get();
        let next = match took {
            long if long > TOO_LONG && size > FEWEST => (size / 2).max(FEWEST),
            quick if quick < QUICK && is_full => (size * 2).min(MOST),
            _ => size,
        };
        self.0.store(next, Ordering::Relaxed);
    }

    /// A transaction failed. Whether it was too large the brokers don't always say.
    pub fn failed(&self) {
        self.0.store((self.get() / 2).max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_make_it_as_small_as_it_takes_and_quick_transactions_large_again() {
        let size = Size::default();
        for _ in 0..20 {
            size.failed();
        }
        assert_eq!(size.get(), 1);
        size.committed(TOO_LONG * 2, true);
        assert_eq!(size.get(), 1);
        size.committed(Duration::ZERO, false);
        assert_eq!(size.get(), 1, "more would not have been there");
        for _ in 0..20 {
            size.committed(Duration::ZERO, true);
        }
        assert_eq!(size.get(), MOST);
        for _ in 0..20 {
            size.committed(TOO_LONG * 2, true);
        }
        assert_eq!(size.get(), FEWEST);
    }
}
