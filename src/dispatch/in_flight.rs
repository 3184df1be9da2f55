//! Requests with an idempotency key that are being answered by this process right now.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Principal and key.
type Key = (String, String);

/// The set of keys in flight.
#[derive(Clone, Default)]
pub struct InFlight {
    keys: Arc<Mutex<HashSet<Key>>>,
}

impl InFlight {
    /// Marks the key as in flight until the entry is dropped; `None` where it already is.
    #[must_use]
    pub fn enter(&self, principal: &str, key: &str) -> Option<Entry> {
        let key = (principal.to_owned(), key.to_owned());
        let entered = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        entered.then(|| Entry { keys: Arc::clone(&self.keys), key })
    }
}

/// Keeps a key in flight.
pub struct Entry {
    keys: Arc<Mutex<HashSet<Key>>>,
    key: Key,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_flight_once_per_principal() {
        let in_flight = InFlight::default();
        let first = in_flight.enter("anna", "k");
        assert!(first.is_some());
        assert!(in_flight.enter("anna", "k").is_none());
        assert!(in_flight.enter("ben", "k").is_some());
        drop(first);
        assert!(in_flight.enter("anna", "k").is_some());
    }
}
