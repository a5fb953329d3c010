//! What earlier runs of a job made durable.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::PartRecord;
use super::record::Identity;
use crate::hash::Hash;
use crate::source::{FileKey, TARGET_BYTES};

/// Three cache lines; the table takes a byte a file.
const PER_BUCKET: usize = 4;

/// See the module.
pub(crate) struct Past {
    /// Sorted.
    done: Vec<(FileKey, Hash)>,
    /// Where each bucket of `done` begins, and its end. Keys are hashes, so a bucket has about [`PER_BUCKET`] entries, next to each other
    /// in memory: a search through all of a million cost a dozen cache misses a key. Forged keys in one bucket cost no more than that.
    starts: Vec<u32>,
    /// By target: the source may have changed more than once.
    parts: Mutex<HashMap<Vec<u8>, Vec<PartRecord>>>,
    had_parts: bool,
}

impl Past {
    pub fn new(parts: Vec<PartRecord>, mut done: Vec<(FileKey, Hash)>) -> Past {
        done.sort_unstable();
        let had_parts = !parts.is_empty();
        let mut by_target: HashMap<Vec<u8>, Vec<PartRecord>> = HashMap::new();
        for part in parts {
            by_target.entry(part.target.clone()).or_default().push(part);
        }
        Past {
            starts: starts(&done),
            done,
            parts: Mutex::new(by_target),
            had_parts,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && !self.had_parts
    }

    /// The root hash of this very file, if it was finished.
    pub fn done(&self, key: &FileKey) -> Option<Hash> {
        let first = leading(key);
        let near = self.between(first, first);
        let at = near.binary_search_by(|d| d.0.cmp(key)).ok()?;
        near.get(at).map(|d| d.1)
    }

    /// The entries whose keys begin with these 64 bits or what is between them, and a few beside.
    fn between(&self, first: u64, last: u64) -> &[(FileKey, Hash)] {
        let bucket = |bits| bucket(bits, self.starts.len() - 1);
        let from = self.starts.get(bucket(first)).copied().unwrap_or(0);
        let to = self.starts.get(bucket(last) + 1).copied().unwrap_or(0);
        self.done
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// Was a file of this target finished, perhaps from another source?
    pub fn was_done(&self, key: &FileKey) -> bool {
        let target = |d: &(FileKey, Hash)| d.0[..TARGET_BYTES].cmp(&key[..TARGET_BYTES]);
        let others = u64::MAX >> (8 * TARGET_BYTES);
        let first = leading(key);
        let near = self.between(first & !others, first | others);
        near.binary_search_by(target).is_ok()
    }

    /// Which file the part of this very file is.
    pub fn part_of(&self, target: &[u8], key: &FileKey) -> Option<Identity> {
        if !self.had_parts {
            return None;
        }
        let parts = self.parts.lock();
        let part = parts.get(target)?.iter().find(|p| p.key == *key)?;
        Some(part.identity())
    }

    /// The parts of a target that nobody has asked for.
    pub fn take(&self, target: &[u8]) -> Vec<PartRecord> {
        if !self.had_parts {
            return Vec::new();
        }
        self.parts.lock().remove(target).unwrap_or_default()
    }

    /// All those parts.
    pub fn take_all(&self) -> Vec<PartRecord> {
        let parts = std::mem::take(&mut *self.parts.lock());
        parts.into_values().flatten().collect()
    }
}

fn leading(key: &FileKey) -> u64 {
    let (first, _) = key.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

/// Buckets are equal shares of all keys.
fn bucket(bits: u64, buckets: usize) -> usize {
    ((u128::from(bits) * buckets as u128) >> 64) as usize
}

/// A checkpoint has fewer than 2^32 files: their entries here alone would take 200 GB.
fn starts(done: &[(FileKey, Hash)]) -> Vec<u32> {
    let buckets = done.len() / PER_BUCKET + 1;
    let mut starts = vec![0; buckets + 1];
    for (key, _) in done {
        starts[bucket(leading(key), buckets) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{file_key, token};

    #[test]
    fn a_target_is_known_whatever_its_source() {
        let key = |target: &[u8], size| file_key(target, &token(size, 0, 0)).unwrap();
        let done = vec![(key(b"b", 1), [7; 32]), (key(b"a", 1), [9; 32])];
        let past = Past::new(Vec::new(), done);
        assert_eq!(past.done(&key(b"a", 1)), Some([9; 32]));
        assert_eq!(past.done(&key(b"a", 2)), None);
        assert!(past.was_done(&key(b"a", 2)) && !past.was_done(&key(b"c", 1)));
    }

    #[test]
    fn a_file_is_found_wherever_its_key_lies_among_the_others() {
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let crowded = |n: u64| (n + (0xff << 48)).to_be_bytes();
        let uneven = |n: u64| (n * n * n).to_be_bytes();
        let ways: [&dyn Fn(u64) -> [u8; 8]; 3] = [&spread, &crowded, &uneven];
        for (place, files) in ways.iter().flat_map(|w| [0, 1, 2, 5_000].map(|n| (w, n))) {
            let key = |n: u64| {
                let mut key = [n as u8; 16];
                key[..8].copy_from_slice(&place(n));
                key
            };
            let hash = |n: u64| [n as u8; 32];
            let done = (0..files).map(|n| (key(2 * n), hash(n))).collect();
            let past = Past::new(Vec::new(), done);
            for n in 0..files {
                assert_eq!(past.done(&key(2 * n)), Some(hash(n)));
                assert!(past.was_done(&key(2 * n)));
            }
            assert!((0..=files).all(|n| past.done(&key(2 * n + 1)).is_none()));
            assert_eq!(past.done(&[0xff; 16]), None);
        }
    }
}
