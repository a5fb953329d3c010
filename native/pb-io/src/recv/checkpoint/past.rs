//! What earlier runs of a job made durable.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::PartRecord;
use super::record::Identity;
use crate::hash::Hash;
use crate::source::{FileKey, TARGET_BYTES};

/// See the module.
pub(crate) struct Past {
    /// Sorted.
    done: Vec<(FileKey, Hash)>,
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
        let near = self.around(key);
        let at = near.binary_search_by(|d| d.0.cmp(key)).ok()?;
        near.get(at).map(|d| d.1)
    }

    /// A run of `done` that has the key if anything has. Keys are hashes and so lie evenly: the place of one follows from its value
    /// but for some sqrt(n) entries, which saves most of the cache misses of a search through all of them. Where they do not
    /// (a checkpoint may be forged) it is looked for twice as far each time.
    fn around(&self, key: &FileKey) -> &[(FileKey, Hash)] {
        let (first, _) = key.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let share = u128::from(u64::from_be_bytes(*first)) * self.done.len() as u128;
        let at = (share >> 64) as usize;
        let mut reach = self.done.len().isqrt() / 2 + 1;
        let below = |i: usize| self.done.get(i).is_some_and(|d| d.0 < *key);
        let (mut from, mut to) = (at.saturating_sub(reach), at + reach);
        while from > 0 && !below(from) {
            reach *= 2;
            from = from.saturating_sub(reach);
        }
        while to < self.done.len() && below(to) {
            reach *= 2;
            to += reach;
        }
        self.done
            .get(from..self.done.len().min(to + 1))
            .unwrap_or_default()
    }

    /// Was a file of this target finished, perhaps from another source?
    pub fn was_done(&self, key: &FileKey) -> bool {
        let target = |d: &(FileKey, Hash)| d.0[..TARGET_BYTES].cmp(&key[..TARGET_BYTES]);
        self.done.binary_search_by(target).is_ok()
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
            }
            assert!((0..=files).all(|n| past.done(&key(2 * n + 1)).is_none()));
            assert_eq!(past.done(&[0xff; 16]), None);
        }
    }
}
