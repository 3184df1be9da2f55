//! Random choices that a seed repeats, today and with any later release of whatever library.

use std::time::Duration;

/// A stream of choices. Equal seeds make equal streams; a child's stream does not depend on how far its parent is.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// A stream of its own for a part of the work.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self::new(mix(self.seed ^ hash))
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state) % end.max(1)
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time between two, in whole milliseconds.
    pub fn between(&mut self, shortest_ms: u64, longest_ms: u64) -> Duration {
        Duration::from_millis(shortest_ms + self.below(longest_ms - shortest_ms + 1))
    }

    /// An index into something of this length, which is at least 1.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }
}

/// The finalizer of splitmix64.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_its_children_are_their_own() {
        let draw = |mut random: Random| (0..8).map(|_| random.below(1_000)).collect::<Vec<_>>();
        let mut parent = Random::new(7);
        let early = draw(parent.child("client"));
        parent.below(9);
        assert_eq!(draw(parent.child("client")), early);
        assert_ne!(draw(parent.child("faults")), early);
        assert_ne!(draw(Random::new(8)), draw(Random::new(7)));
    }
}
