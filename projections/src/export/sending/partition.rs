//! Which partition a key lands in: where Kafka's Java client puts it.
//!
//! It is computed here and not by librdkafka, which takes new partitions into account as soon as it hears of them: a tenant's
//! events would go on in another one, out of order, under an export that believes that nothing has changed.
//!
//! Source: `murmur2` of Kafka's `org.apache.kafka.common.utils.Utils`, Austin Appleby's `MurmurHash2` with a seed of its own.

const SEED: u32 = 0x9747_b28c;
const FACTOR: u32 = 0x5bd1_e995;

/// The partition, of so many.
pub(crate) fn of(key: &str, partitions: i32) -> i32 {
    // The sign is cut off, as Java's `toPositive` does.
    let hash = (murmur2(key.as_bytes()) & 0x7fff_ffff).cast_signed();
    hash.checked_rem(partitions).unwrap_or(0)
}

fn murmur2(data: &[u8]) -> u32 {
    let (blocks, rest) = data.as_chunks::<4>();
    // Kafka's lengths fit; so do ours.
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    for block in blocks {
        let block = u32::from_le_bytes(*block).wrapping_mul(FACTOR);
        hash = hash.wrapping_mul(FACTOR) ^ (block ^ (block >> 24)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest`.
    #[test]
    fn the_hash_is_that_of_the_java_client() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn a_partition_is_one_of_those_that_there_are() {
        for key in ["", "a", "21", "foobar", "01900000-0000-7000-8000-000000000001"] {
            assert!((0..6).contains(&of(key, 6)));
        }
    }
}
