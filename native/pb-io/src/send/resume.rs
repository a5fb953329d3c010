//! What the receiver already has of an offered file.

use pb_proto::range_set::RangeSet;

use crate::hash::{ChunkHash, Hash, Tree, chunk_count};

/// Chaining values of durable chunks, in any order. Whole subtrees are merged at once, so memory grows with the gaps
/// between them.
pub(crate) struct Resume {
    pub chunk_bytes: u64,
    pub tree: Tree,
    pub have: RangeSet,
    size: u64,
    /// Chunks that are there.
    count: u64,
    /// And how many there will be, once said.
    expected: Option<u64>,
}

/// The receiver said what no file can have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach;

impl Resume {
    /// Of a file of `size` bytes.
    pub fn new(size: u64, chunk_log2: u8) -> Resume {
        let chunk_bytes = 1 << chunk_log2;
        Resume {
            chunk_bytes,
            tree: Tree::new(chunk_bytes),
            have: RangeSet::new(),
            size,
            count: 0,
            expected: None,
        }
    }

    /// How many chunks there are to be.
    pub fn expect(&mut self, chunk_log2: u8, chunks: u64) -> Result<(), Breach> {
        let known = self.expected.replace(chunks).is_some();
        let fits = 1 << chunk_log2 == self.chunk_bytes && chunks <= self.chunks();
        if known || !fits { Err(Breach) } else { Ok(()) }
    }

    /// Values of chunks from `first` on, each once.
    pub fn add(&mut self, chunk_log2: u8, first: u64, values: &[Hash]) -> Result<(), Breach> {
        let end = first.checked_add(values.len() as u64).ok_or(Breach)?;
        // The root of a file that is one chunk does not follow from its chaining value.
        let fits = 1 << chunk_log2 == self.chunk_bytes && end <= self.chunks() && self.chunks() > 1;
        let new = (first..end).all(|index| !self.have.contains(index));
        if values.is_empty() || !fits || !new {
            return Err(Breach);
        }
        self.have.insert_range(first, end - 1, |_, _| {});
        self.count += end - first;
        for (index, &chaining_value) in (first..end).zip(values) {
            let root = [0; 32];
            self.tree.set(
                index,
                ChunkHash {
                    chaining_value,
                    root,
                },
            );
        }
        Ok(())
    }

    pub fn is_complete(&self) -> bool {
        self.expected.is_some_and(|n| n <= self.count)
    }

    /// What it costs: nodes and ranges.
    pub fn pieces(&self) -> usize {
        self.tree.pieces() + self.have.len()
    }

    /// Bytes that need not be sent.
    pub fn bytes(&self) -> u64 {
        let whole = self.count * self.chunk_bytes;
        let last = self.chunks().saturating_sub(1);
        let missing = self.chunks() * self.chunk_bytes - self.size;
        whole - if self.have.contains(last) { missing } else { 0 }
    }

    fn chunks(&self) -> u64 {
        chunk_count(self.size, self.chunk_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = (10 << 16) + 5;

    #[test]
    fn values_come_in_any_order() {
        let mut r = Resume::new(SIZE, 16);
        r.add(16, 9, &[[9; 32], [10; 32]]).unwrap();
        assert!(!r.is_complete());
        r.expect(16, 4).unwrap();
        assert!(!r.is_complete());
        r.add(16, 0, &[[0; 32], [1; 32]]).unwrap();
        assert!(r.is_complete());
        assert_eq!(r.bytes(), (3 << 16) + 5);
        assert_eq!(r.pieces(), 2 + 3);
    }

    #[test]
    fn nothing_that_the_file_can_not_have() {
        let fresh = || Resume::new(SIZE, 16);
        assert_eq!(fresh().expect(16, 12), Err(Breach));
        assert_eq!(fresh().expect(17, 1), Err(Breach));
        assert_eq!(fresh().add(17, 0, &[[0; 32]]), Err(Breach));
        assert_eq!(fresh().add(16, 10, &[[0; 32]; 2]), Err(Breach));
        assert_eq!(fresh().add(16, u64::MAX, &[[0; 32]; 2]), Err(Breach));
        let mut twice = fresh();
        twice.add(16, 3, &[[0; 32]]).unwrap();
        assert_eq!(twice.add(16, 2, &[[0; 32]; 3]), Err(Breach));
        let mut said = fresh();
        said.expect(16, 1).unwrap();
        assert_eq!(said.expect(16, 1), Err(Breach));
        assert_eq!(Resume::new(5, 16).add(16, 0, &[[0; 32]]), Err(Breach));
    }
}
