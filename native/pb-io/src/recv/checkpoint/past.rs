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
        let at = self.done.binary_search_by(|d| d.0.cmp(key)).ok()?;
        self.done.get(at).map(|d| d.1)
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
}
