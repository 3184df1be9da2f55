//! A set of positions, one bit each.

use std::collections::HashMap;

/// Positions that share a block, of 512 bytes.
const PER_BLOCK: u64 = 4_096;

/// Positions that were seen.
#[derive(Debug, Default)]
pub(super) struct Positions {
    blocks: HashMap<u64, Box<[u64; 64]>>,
}

impl Positions {
    /// Adds one; false if it was there already.
    pub fn insert(&mut self, position: u64) -> bool {
        let (word, bit) = place(position);
        let word = &mut self.blocks.entry(position / PER_BLOCK).or_insert_with(|| Box::new([0; 64]))[word];
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Whether it is there.
    pub fn contains(&self, position: u64) -> bool {
        let (word, bit) = place(position);
        self.blocks.get(&(position / PER_BLOCK)).is_some_and(|block| block[word] & bit != 0)
    }
}

/// Which word of its block, and which bit of that.
fn place(position: u64) -> (usize, u64) {
    let within = position % PER_BLOCK;
    (usize::try_from(within / 64).unwrap_or_default(), 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_position_is_one_of_its_own() {
        let mut positions = Positions::default();
        let some = [0, 1, 63, 64, 4_095, 4_096, 4_097, u64::MAX];
        assert!(some.iter().all(|position| positions.insert(*position)));
        assert!(some.iter().all(|position| positions.contains(*position) && !positions.insert(*position)));
        assert!([2, 62, 65, 4_094, 4_098, 8_192, u64::MAX - 1].iter().all(|position| !positions.contains(*position)));
        assert_eq!(positions.blocks.len(), 3);
    }
}
