//! The record of an unfinished file, and its chunks as bytes.

use crate::fs::Meta;
use crate::hash::Hash;
use crate::source::FileKey;

/// An unfinished file, or what became durable of it since the record before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    pub key: FileKey,
    /// Below the base, as the sender says.
    pub target: Vec<u8>,
    pub size: u64,
    pub chunk_bytes: u64,
    /// Name beside the target.
    pub temporary: Vec<u8>,
    pub device: u64,
    pub inode: u64,
    /// When the part was made, ns since 1970; 0: not known. Inode numbers are used again, with this they are not.
    pub birth_ns: i64,
    /// Durable chunks: runs of first index u64, count u32 and that many chaining values; big-endian.
    pub chunks: Vec<u8>,
}

/// Which file on which disk something is: device, inode, time of birth.
pub(crate) type Identity = (u64, u64, i64);

impl PartRecord {
    /// Of the part, whatever its name is.
    pub(crate) fn identity(&self) -> Identity {
        (self.device, self.inode, self.birth_ns)
    }
}

/// Of what is there.
pub(crate) fn identity_of(there: &Meta) -> Identity {
    (there.device, there.inode, there.birth_ns)
}

/// Appends runs for chunks by index; neighbours share one.
pub(crate) fn pack_run(out: &mut Vec<u8>, chunks: &mut [(u64, Hash)]) {
    chunks.sort_unstable_by_key(|c| c.0);
    for run in chunks.chunk_by(|a, b| a.0 + 1 == b.0) {
        out.extend_from_slice(&run[0].0.to_be_bytes());
        out.extend_from_slice(&(run.len() as u32).to_be_bytes());
        run.iter().for_each(|c| out.extend_from_slice(&c.1));
    }
}

/// Reads runs: first index and values. `None` once for bytes that are no runs.
pub(crate) struct Runs<'a>(pub &'a [u8]);

impl<'a> Iterator for Runs<'a> {
    type Item = Option<(u64, &'a [Hash])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let run = read_run(self.0);
        self.0 = run.map_or(&[], |(_, rest)| rest);
        Some(run.map(|(run, _)| run))
    }
}

type Run<'a> = (u64, &'a [Hash]);

fn read_run(bytes: &[u8]) -> Option<(Run<'_>, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let values = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let (values, rest) = rest.split_at_checked(values.checked_mul(32)?)?;
    Some(((u64::from_be_bytes(*first), values.as_chunks().0), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_as_runs() {
        let mut bytes = Vec::new();
        let mut chunks = [(7, [7; 32]), (2, [2; 32]), (1 << 40, [9; 32]), (3, [3; 32])];
        pack_run(&mut bytes, &mut chunks);
        let runs: Vec<_> = Runs(&bytes).map(Option::unwrap).collect();
        let expected: [(u64, &[Hash]); 3] = [
            (2, &[[2; 32], [3; 32]]),
            (7, &[[7; 32]]),
            (1 << 40, &[[9; 32]]),
        ];
        assert_eq!(runs, expected);
    }

    #[test]
    fn bytes_that_are_no_runs_end_with_none() {
        let mut bytes = Vec::new();
        pack_run(&mut bytes, &mut [(1, [1; 32]), (2, [2; 32])]);
        for cut in 1..bytes.len() {
            let all: Vec<_> = Runs(&bytes[..cut]).collect();
            assert_eq!(all, [None], "{cut}");
        }
        assert_eq!(Runs(&[0xff; 12]).collect::<Vec<_>>(), [None]);
    }
}
