//! BLAKE3 of a file from its chunks, computed in any order.
//!
//! A chunk is a power of two of at least 64 KiB, so its chaining value is a node of BLAKE3's tree
//! (BLAKE3 paper, section 2.1; `blake3::hazmat`). The root equals `b3sum FILE`.

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

/// Chaining values of a file's chunks, filled in any order.
#[derive(Debug)]
pub struct Tree {
    chunk_bytes: u64,
    values: Vec<Hash>,
    /// Root of the file if its first chunk is all of it.
    first_root: Hash,
}

impl Tree {
    /// A tree over chunks of `chunk_bytes`, a power of two.
    pub fn new(chunk_bytes: u64) -> Tree {
        Tree {
            chunk_bytes,
            values: Vec::new(),
            first_root: whole(&[]),
        }
    }

    /// Records chunk `index`.
    pub fn set(&mut self, index: u64, hash: ChunkHash) {
        let at = index as usize;
        if self.values.len() <= at {
            self.values.resize(at + 1, [0; 32]);
        }
        self.values[at] = hash.chaining_value;
        if index == 0 {
            self.first_root = hash.root;
        }
    }

    /// The file's hash; every chunk of `size` bytes must have been set.
    pub fn root(&self, size: u64) -> Hash {
        if size <= self.chunk_bytes {
            return self.first_root;
        }
        let left = hazmat::left_subtree_len(size);
        let (l, r) = (self.node(0, left), self.node(left, size - left));
        hazmat::merge_subtrees_root(&l, &r, Mode::Hash).into()
    }

    fn node(&self, start: u64, len: u64) -> Hash {
        if len <= self.chunk_bytes {
            return self
                .values
                .get((start / self.chunk_bytes) as usize)
                .copied()
                .unwrap_or_default();
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
    fn the_same_bytes_elsewhere_have_another_value() {
        let data = [7u8; 65_536];
        assert_ne!(
            chunk(0, &data).chaining_value,
            chunk(65_536, &data).chaining_value
        );
    }
}
