//! Serializes commands on one aggregate inside this process, so that they don't waste each other's appends.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

/// More than the commands ever in flight at once, so that two aggregates rarely share a lock by chance.
const STRIPES: usize = 4096;

/// A fixed set of locks; an aggregate's id picks one. Bounded memory, nothing to clean up. A command takes at most one.
pub struct Stripes {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Stripes {
    /// All free.
    #[must_use]
    pub fn new() -> Self {
        Self { locks: (0..STRIPES).map(|_| Mutex::new(())).collect(), hasher: RandomState::new() }
    }

    /// Waits until no other command of this process works on the aggregate.
    pub async fn lock(&self, aggregate: Uuid) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(aggregate);
        let index = usize::try_from(hash % STRIPES as u64).unwrap_or_default();
        self.locks[index].lock().await
    }
}

impl Default for Stripes {
    fn default() -> Self {
        Self::new()
    }
}
