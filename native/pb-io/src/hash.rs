//! BLAKE3 of a file from its chunks, computed in any order.
//!
//! A chunk is a power of two of at least 64 KiB, so its chaining value is a node of BLAKE3's tree
//! (BLAKE3 paper, section 2.1; `blake3::hazmat`). The root equals `b3sum FILE`.

use std::collections::HashMap;

use blake3::Hasher;
use blake3::hazmat::{self, HasherExt, Mode};

/// A chaining value or a root hash.
pub type Hash = [u8; 32];

/// What one chunk contributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHash {
    /// The subtree's chaining value; all zero for an empty chunk, which has none.
    pub chaining_value: Hash,
    /// The hash of the chunk as a whole file; only meaningful at offset 0.
    pub root: Hash,
}

/// Hashes the chunk that starts at byte `offset` of its file.
pub fn chunk(offset: u64, data: &[u8]) -> ChunkHash {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(data);
    let root = if offset == 0 {
        hasher.finalize().into()
    } else {
        [0; 32]
    };
    let chaining_value = if data.is_empty() {
        [0; 32]
    } else {
        hasher.finalize_non_root()
    };
    ChunkHash {
        chaining_value,
        root,
    }
}

/// The hash of a whole small file.
pub fn whole(data: &[u8]) -> Hash {
    blake3::hash(data).into()
}

/// The hash of what a reader gives to its end.
pub fn of_reader(reader: impl std::io::Read) -> std::io::Result<Hash> {
    let mut hasher = Hasher::new();
    hasher.update_reader(reader)?;
    Ok(hasher.finalize().into())
}

/// The hash of a file that is read from its beginning to its end.
#[derive(Debug, Default)]
pub struct Running(Hasher);

impl Running {
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    pub fn root(&self) -> Hash {
        self.0.finalize().into()
    }
}

/// Chaining values of a file's chunks, filled in any order. Whole subtrees are merged as they fill, so memory grows with
/// the gaps and not with the file, whatever offsets a peer chooses.
#[derive(Debug)]
pub struct Tree {
    chunk_bytes: u64,
    /// Subtrees of `1 << level` chunks that have no sibling yet, by level and place in that level.
    nodes: HashMap<(u32, u64), Hash>,
    /// The halves of the largest subtree that starts the file, by its level: they are the root's children if it is all.
    halves: (u32, Hash, Hash),
    /// Root of the file if its first chunk is all of it.
    first_root: Hash,
}

impl Tree {
    /// A tree over chunks of `chunk_bytes`, a power of two.
    pub fn new(chunk_bytes: u64) -> Tree {
        Tree {
            chunk_bytes,
            nodes: HashMap::new(),
            halves: (0, [0; 32], [0; 32]),
            first_root: whole(&[]),
        }
    }

    /// Records chunk `index`, once.
    pub fn set(&mut self, index: u64, hash: ChunkHash) {
        if index == 0 {
            self.first_root = hash.root;
        }
        let (mut level, mut at, mut value) = (0, index, hash.chaining_value);
        while let Some(sibling) = self.nodes.remove(&(level, at ^ 1)) {
            let (l, r) = if at & 1 == 0 {
                (value, sibling)
            } else {
                (sibling, value)
            };
            (level, at) = (level + 1, at >> 1);
            if at == 0 && level > self.halves.0 {
                self.halves = (level, l, r);
            }
            value = hazmat::merge_subtrees_non_root(&l, &r, Mode::Hash);
        }
        self.nodes.insert((level, at), value);
    }

    /// How many subtrees it holds: what it costs in memory.
    pub fn pieces(&self) -> usize {
        self.nodes.len()
    }

    /// The file's hash; every chunk of `size` bytes must have been set.
    pub fn root(&self, size: u64) -> Hash {
        if size <= self.chunk_bytes {
            return self.first_root;
        }
        let chunks = chunk_count(size, self.chunk_bytes);
        let (l, r) = if chunks.is_power_of_two() && self.halves.0 == chunks.trailing_zeros() {
            (self.halves.1, self.halves.2)
        } else {
            let left = hazmat::left_subtree_len(size);
            (self.node(0, left), self.node(left, size - left))
        };
        hazmat::merge_subtrees_root(&l, &r, Mode::Hash).into()
    }

    fn node(&self, start: u64, len: u64) -> Hash {
        let chunks = chunk_count(len, self.chunk_bytes);
        if chunks.is_power_of_two() {
            let level = chunks.trailing_zeros();
            let at = (start / self.chunk_bytes) >> level;
            return self.nodes.get(&(level, at)).copied().unwrap_or_default();
        }
        let left = hazmat::left_subtree_len(len);
        let (l, r) = (self.node(start, left), self.node(start + left, len - left));
        hazmat::merge_subtrees_non_root(&l, &r, Mode::Hash)
    }
}

/// Number of chunks of a file; an empty file has none.
pub fn chunk_count(size: u64, chunk_bytes: u64) -> u64 {
    size.div_ceil(chunk_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_equals_blake3_for_every_shape() {
        let data: Vec<u8> = (0..700_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
        for size in [
            0, 1, 1024, 65_535, 65_536, 65_537, 131_072, 131_073, 400_000, 655_360, 700_000,
        ] {
            let mut tree = Tree::new(65_536);
            for (i, c) in data[..size].chunks(65_536).enumerate().rev() {
                tree.set(i as u64, chunk(i as u64 * 65_536, c));
            }
            assert_eq!(tree.root(size as u64), whole(&data[..size]), "size {size}");
        }
    }

    #[test]
    fn memory_grows_with_gaps_and_not_with_offsets() {
        let mut tree = Tree::new(65_536);
        let one = chunk(65_536, b"x");
        tree.set(1 << 44, one);
        (0..4096).for_each(|i| tree.set(i, one));
        assert_eq!(tree.nodes.len(), 2);
    }

    #[test]
    fn the_same_bytes_elsewhere_have_another_value() {
        let data = [7u8; 65_536];
        assert_ne!(
            chunk(0, &data).chaining_value,
            chunk(65_536, &data).chaining_value
        );
    }
}
