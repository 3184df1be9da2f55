//! A bounded cache whose entries are used for a time only: what another instance may change meanwhile must not be believed
//! for ever, however often it is asked for.

use std::fmt;
use std::hash::Hash;
use std::time::{Duration, Instant};

use quick_cache::Equivalent;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

/// Holds about `capacity` entries, and gives none out that is older than `keep`. Which ones make room for new ones is up to
/// how often they are used. An entry whose time is over stays in memory until it is asked for or makes room.
pub struct TimedCache<K, V> {
    entries: Cache<K, Timed<V>>,
    keep: Duration,
}

#[derive(Clone)]
struct Timed<V> {
    value: V,
    since: Instant,
}

impl<K, V> fmt::Debug for TimedCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimedCache").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone, V: Clone> TimedCache<K, V> {
    /// An empty cache.
    #[must_use]
    pub fn new(capacity: usize, keep: Duration) -> Self {
        Self { entries: Cache::new(capacity), keep }
    }

    /// The value that was put under this key, if that was not too long ago.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        let Timed { value, since } = self.entries.get(key)?;
        if since.elapsed() < self.keep {
            return Some(value);
        }
        // Unless somebody has put a new one meanwhile.
        self.entries.remove_if(key, |timed| timed.since == since);
        None
    }

    /// Whether [`TimedCache::get`] would find something.
    pub fn contains<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> bool {
        self.get(key).is_some()
    }

    /// Puts a value in the place of whatever is there.
    pub fn insert(&self, key: K, value: V) {
        self.entries.insert(key, Timed { value, since: Instant::now() });
    }

    /// Puts a value where nothing is to be found; false if something is. Of several callers at once one puts it.
    pub fn insert_if_absent(&self, key: &K, value: V) -> bool {
        let entry = self.entries.entry(key, None, |_, timed| {
            if timed.since.elapsed() < self.keep { EntryAction::Retain(()) } else { EntryAction::ReplaceWithGuard }
        });
        match entry {
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => {
                // Who took the entry out meanwhile did not know of this one.
                place.insert(Timed { value, since: Instant::now() }).is_ok()
            }
            EntryResult::Retained(()) | EntryResult::Removed(..) | EntryResult::Timeout => false,
        }
    }

    /// Takes an entry out.
    pub fn remove<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) {
        self.entries.remove(key);
    }

    /// Takes out every entry that does not meet the condition. Looks at all of them.
    pub fn retain(&self, condition: impl Fn(&K, &V) -> bool) {
        self.entries.retain(|key, timed| condition(key, &timed.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_for_its_time_only() {
        let lasting = TimedCache::new(10, Duration::from_mins(1));
        lasting.insert("a", 1);
        lasting.insert("b", 2);
        lasting.insert("a", 3);
        assert_eq!((lasting.get("a"), lasting.get("b"), lasting.get("c")), (Some(3), Some(2), None));
        assert!(!lasting.insert_if_absent(&"a", 4));
        assert!(lasting.insert_if_absent(&"c", 4));
        lasting.remove("a");
        assert!(!lasting.contains("a"));
        lasting.retain(|_, value| *value != 2);
        assert!(!lasting.contains("b"));

        let over = TimedCache::new(10, Duration::ZERO);
        over.insert("a", 1);
        assert!(over.insert_if_absent(&"a", 2));
        assert_eq!(over.get("a"), None);
        assert!(over.entries.is_empty(), "what is of no use any more is dropped when it is asked for");
    }

    #[test]
    fn it_stays_as_small_as_it_has_to_be() {
        let cache = TimedCache::new(100, Duration::from_mins(1));
        (0..10_000).for_each(|key| cache.insert(key, key));
        assert!(cache.entries.len() <= 110, "{}", cache.entries.len());
    }
}
