//! A large file that arrives in chunks.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use pb_proto::message::item::{ChunkRun, MAX_RUNS, UNKNOWN_SIZE};
use pb_proto::range_set::RangeSet;

use super::Meta;
use super::checkpoint::{Adopted, Durable};
use super::sync::Syncs;
use super::temp::Temp;
use crate::hash::{self, ChunkHash, Hash, Tree, chunk_count};
use crate::source::FileKey;

/// See the module.
pub(super) struct LargeFile {
    pub meta: Meta,
    pub chunk_bytes: u64,
    /// What it is known by to the checkpoint; `None`: none is kept of it.
    pub known: Option<Known>,
    pub syncs: Arc<Syncs>,
    /// `None` when the bytes go to a stream, or to a carrier.
    place: Mutex<Option<(Temp, Arc<File>)>>,
    state: Mutex<FileState>,
}

/// A file that a later run may go on with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub key: FileKey,
    /// As announced; the token of the source stands for it.
    pub size: u64,
}

struct FileState {
    tree: Tree,
    /// Chunks that are there, or being written.
    have: RangeSet,
    /// Bytes of those.
    bytes: u64,
    /// Being written or hashed now.
    pending: u32,
    /// Payload bytes that count as verified.
    written: u64,
    /// From the sender at its end: size and root. Only this is binding; the announced size is as old as its listing.
    end: Option<(u64, Hash)>,
    /// Runs of zeros, until the end is known.
    holes: Vec<ChunkRun>,
    sparse: bool,
    /// Index of the chunk that is shorter than the others: the last.
    short: Option<u64>,
    bad: std::collections::HashMap<u64, u32>,
    /// Written chunks that no flush has seen.
    unflushed: Vec<(u64, Hash)>,
    /// Zeros must be written: what is there is not known.
    littered: bool,
    /// It is as an earlier run left it, and the sender has not begun with it.
    untouched: bool,
    done: bool,
}

/// Why holes could not be filled.
#[derive(Debug, thiserror::Error)]
pub(super) enum HoleError {
    #[error("holes beyond the end of the file")]
    BeyondEnd,
    #[error("write: {0}")]
    Io(#[from] std::io::Error),
}

/// A chunk that fails this often is a broken source or machine, not a broken wire.
const MAX_BAD: u32 = 3;
/// Zeros of this many bytes, aligned, stay holes in a sparse file.
const HOLE: usize = 4096;

impl LargeFile {
    pub fn new(
        meta: Meta,
        chunk_bytes: u64,
        place: Option<(Temp, File)>,
        known: Option<Known>,
    ) -> LargeFile {
        let state = FileState {
            tree: Tree::new(chunk_bytes),
            have: RangeSet::new(),
            bytes: 0,
            pending: 0,
            written: 0,
            end: None,
            holes: Vec::new(),
            sparse: false,
            short: None,
            bad: std::collections::HashMap::new(),
            unflushed: Vec::new(),
            littered: false,
            untouched: false,
            done: false,
        };
        let place = Mutex::new(place.map(|(temp, file)| (temp, Arc::new(file))));
        LargeFile {
            meta,
            chunk_bytes,
            known,
            syncs: Arc::default(),
            place,
            state: Mutex::new(state),
        }
    }

    /// A file of which an earlier run has written and recorded chunks.
    pub fn resumed(
        meta: Meta,
        known: Known,
        part: Option<(Temp, Adopted)>,
        durable: &Durable<'_>,
        chunk_bytes: u64,
    ) -> LargeFile {
        let littered = part.as_ref().is_some_and(|(_, adopted)| !adopted.blank);
        let place = part.map(|(temp, adopted)| (temp, adopted.file));
        let file = LargeFile::new(meta, chunk_bytes, place, Some(known));
        let mut s = file.state.lock();
        s.littered = littered;
        s.untouched = true;
        for &(first, values) in &durable.runs {
            for (index, &chaining_value) in (first..).zip(values) {
                let hash = ChunkHash {
                    chaining_value,
                    root: [0; 32],
                };
                let len = (known.size - index * chunk_bytes).min(chunk_bytes);
                s.take(index, len, hash);
                if len < chunk_bytes {
                    s.short = Some(index);
                }
            }
        }
        s.written = s.bytes;
        drop(s);
        file
    }

    /// Is it an earlier run's, with which the sender has not begun?
    pub fn is_untouched(&self) -> bool {
        self.state.lock().untouched
    }

    /// Bytes that were written, holes apart.
    pub fn written(&self) -> u64 {
        self.state.lock().written
    }

    /// Removes what was written, and takes it off the counter.
    pub fn discard(&self, verified: &AtomicU64) {
        let mut s = self.state.lock();
        if !std::mem::replace(&mut s.done, true) {
            verified.fetch_sub(s.written, Ordering::Relaxed);
        }
        drop(s);
        if let Some((temp, _)) = self.place.lock().take() {
            temp.discard();
        }
    }

    /// Ends its reception, and leaves what was written where it is: a later run goes on with it.
    pub fn leave(&self) {
        self.state.lock().done = true;
        self.place.lock().take();
    }

    /// A written chunk that is to be recorded; false when it is not one of several that the announced size tells.
    pub fn to_flush(&self, offset: u64, len: usize, value: Hash) -> bool {
        let Some(known) = self.known else {
            return false;
        };
        let expected = known.size.saturating_sub(offset).min(self.chunk_bytes);
        // The root of a file that is one chunk does not follow from its chaining value.
        let fits = expected == len as u64 && known.size > self.chunk_bytes;
        let mut s = self.state.lock();
        if !fits || s.done {
            return false;
        }
        s.unflushed.push((offset / self.chunk_bytes, value));
        true
    }

    /// The chunks of the next flush.
    pub fn take_unflushed(&self) -> Vec<(u64, Hash)> {
        std::mem::take(&mut self.state.lock().unflushed)
    }

    /// Its name beside the target, and the folder of both.
    pub fn temporary(&self) -> Option<(Vec<u8>, Arc<OwnedFd>)> {
        let place = self.place.lock();
        let (temp, _) = place.as_ref()?;
        Some((temp.temporary().to_vec(), Arc::clone(temp.folder())))
    }

    /// Where to write; `None` when it is over.
    pub fn target(&self) -> Option<Arc<File>> {
        self.place.lock().as_ref().map(|(_, file)| Arc::clone(file))
    }

    /// The place, once: it is for the committer now.
    pub fn take_place(&self) -> Option<(Temp, Arc<File>)> {
        self.place.lock().take()
    }

    /// Is a chunk at this offset of this length one that the file can have? Of one that is over anything is.
    pub fn fits(&self, offset: u64, len: usize) -> bool {
        let (s, len) = (self.state.lock(), len as u64);
        let index = offset / self.chunk_bytes;
        let in_order = match s.short {
            Some(last) => index < last || (index == last && len < self.chunk_bytes),
            None => len == self.chunk_bytes || s.have.max().is_none_or(|m| m < index),
        };
        let bounded = offset < UNKNOWN_SIZE && offset.is_multiple_of(self.chunk_bytes);
        s.done || (bounded && in_order && len > 0 && len <= self.chunk_bytes)
    }

    /// Takes a verified chunk as this file's, once: false when it is there. To be followed by [`wrote`](Self::wrote).
    pub fn claim(&self, offset: u64, len: usize, hash: ChunkHash) -> bool {
        let mut s = self.state.lock();
        let taken = !s.done && s.take(offset / self.chunk_bytes, len as u64, hash);
        if taken && (len as u64) < self.chunk_bytes {
            s.short = Some(offset / self.chunk_bytes);
        }
        s.pending += u32::from(taken);
        s.untouched &= !taken;
        taken
    }

    /// A claimed chunk is written; the counter before, `None` when the file is over.
    pub fn wrote(&self, len: usize, verified: &AtomicU64) -> Option<u64> {
        let mut s = self.state.lock();
        s.pending -= 1;
        if s.done {
            return None;
        }
        s.written += len as u64;
        Some(verified.fetch_add(len as u64, Ordering::Relaxed))
    }

    /// Counts a chunk that did not verify; true while it is worth asking again.
    pub fn ask_again(&self, offset: u64) -> bool {
        let mut s = self.state.lock();
        let times = s.bad.entry(offset).or_default();
        *times += 1;
        *times < MAX_BAD
    }

    /// May zeros of a chunk be left out, which is said to be of a file with holes?
    pub fn leaves_out_zeros(&self, sparse: bool) -> bool {
        let s = self.state.lock();
        (sparse || s.sparse) && !s.littered
    }

    /// Notes runs of zeros; false when there are more than a sender may have.
    pub fn add_holes(&self, runs: &[ChunkRun]) -> bool {
        let mut s = self.state.lock();
        s.sparse = true;
        s.untouched = false;
        s.holes.extend_from_slice(runs);
        s.holes.len() <= MAX_RUNS
    }

    pub fn set_end(&self, size: u64, hash: Hash) {
        let mut s = self.state.lock();
        s.untouched = false;
        s.end.get_or_insert((size, hash));
    }

    /// Hashes the holes once the size is known, until `stop`; an error also when one is beyond the end.
    pub fn fill_holes(&self, stop: &dyn Fn() -> bool) -> Result<(), HoleError> {
        let (size, runs) = {
            let mut s = self.state.lock();
            let Some((size, _)) = s.end.filter(|_| !s.holes.is_empty()) else {
                return Ok(());
            };
            s.pending += 1;
            (size, std::mem::take(&mut s.holes))
        };
        let total = chunk_count(size, self.chunk_bytes);
        let within = |&(first, count): &ChunkRun| {
            first
                .checked_add(count)
                .is_some_and(|end| end <= total && count > 0)
        };
        let filled = match runs.iter().all(within) {
            true => {
                let indices = runs.iter().flat_map(|&(first, count)| first..first + count);
                self.hash_zeros(size, indices.take_while(|_| !stop()))
            }
            false => Err(HoleError::BeyondEnd),
        };
        self.state.lock().pending -= 1;
        filled
    }

    fn hash_zeros(&self, size: u64, indices: impl Iterator<Item = u64>) -> Result<(), HoleError> {
        let zeros = vec![0u8; self.chunk_bytes as usize];
        let written = self.state.lock().littered;
        for index in indices {
            let offset = index * self.chunk_bytes;
            let zeros = &zeros[..(size - offset).min(self.chunk_bytes) as usize];
            if let Some(target) = self.target().filter(|_| written) {
                target.write_all_at(zeros, offset)?;
            }
            let hash = hash::chunk(offset, zeros);
            let mut s = self.state.lock();
            if s.done {
                return Ok(());
            }
            s.take(index, zeros.len() as u64, hash);
        }
        Ok(())
    }

    /// When everything is there, once: size, and the root if it is what the sender has.
    pub fn take_complete(&self) -> Option<(u64, Option<Hash>)> {
        let mut s = self.state.lock();
        let (size, hash) = s.end?;
        let chunks = chunk_count(size, self.chunk_bytes);
        let last = s.have.newest_first().last();
        let all = chunks == 0 || last.is_some_and(|(low, high)| low == 0 && high >= chunks - 1);
        if s.done || s.pending > 0 || !s.holes.is_empty() || !all {
            return None;
        }
        s.done = true;
        let root = s.tree.root(size);
        Some((size, (root == hash && s.bytes == size).then_some(root)))
    }
}

impl FileState {
    fn take(&mut self, index: u64, len: u64, hash: ChunkHash) -> bool {
        if self.have.contains(index) {
            return false;
        }
        self.have.insert(index);
        self.bytes += len;
        self.tree.set(index, hash);
        true
    }
}

/// Writes a chunk at its offset; in a sparse file blocks of zeros are left out. Returns how many bytes it wrote.
pub(super) fn write_at(
    file: &File,
    data: &[u8],
    offset: u64,
    sparse: bool,
) -> std::io::Result<usize> {
    if !sparse {
        return file.write_all_at(data, offset).map(|()| data.len());
    }
    let (mut at, mut written) = (0, 0);
    while at < data.len() {
        let zero = is_zero(block(data, at));
        let mut end = at;
        while end < data.len() && is_zero(block(data, end)) == zero {
            end += block(data, end).len();
        }
        if !zero {
            file.write_all_at(&data[at..end], offset + at as u64)?;
            written += end - at;
        }
        at = end;
    }
    Ok(written)
}

fn block(data: &[u8], at: usize) -> &[u8] {
    &data[at..(at + HOLE).min(data.len())]
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|&b| b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_stay_holes() {
        let dir = std::env::temp_dir().join(format!("pb-holes-{}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&dir)
            .unwrap();
        let mut data = vec![0u8; 64 * HOLE];
        data[10 * HOLE] = 1;
        data[63 * HOLE + 5] = 2;
        write_at(&file, &data, 0, true).unwrap();
        let mut back = vec![9u8; data.len()];
        file.read_exact_at(&mut back, 0).unwrap();
        let blocks = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap());
        std::fs::remove_file(dir).unwrap();
        assert!(back == data && blocks <= 4 * 8, "{blocks} blocks");
    }
}
