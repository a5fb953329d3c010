//! A large file that arrives in chunks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;
use pb_proto::message::item::UNKNOWN_SIZE;

use super::commit::{Commit, Ready};
use super::temp::{Temp, apply};
use super::{Early, Meta, RecvJob, shown};
use crate::error::Code;
use crate::hash::{ChunkHash, Hash, Tree, chunk_count};
use crate::send::hash_holes;

/// See the module.
pub(super) struct LargeFile {
    pub meta: Meta,
    pub chunk_bytes: u64,
    /// `None` when the bytes go to a stream.
    place: Mutex<Option<(Temp, Arc<File>)>>,
    state: Mutex<FileState>,
}

struct FileState {
    tree: Tree,
    /// Chunks that are there, and how many.
    have: Vec<u64>,
    count: u64,
    written: u64,
    /// From the sender at its end: size and root.
    end: Option<(u64, Hash)>,
    /// Announced size; unknown for a pipe.
    size: u64,
    sparse: bool,
    bad: std::collections::HashMap<u64, u32>,
    done: bool,
}

/// A chunk that fails this often is a broken source or machine, not a broken wire.
const MAX_BAD: u32 = 3;
/// Zeros of this many bytes, aligned, stay holes in a sparse file.
const HOLE: usize = 4096;

impl LargeFile {
    pub fn new(meta: Meta, size: u64, chunk_bytes: u64, place: Option<(Temp, File)>) -> LargeFile {
        let state = FileState {
            tree: Tree::new(chunk_bytes),
            have: Vec::new(),
            count: 0,
            written: 0,
            end: None,
            size,
            sparse: false,
            bad: std::collections::HashMap::new(),
            done: false,
        };
        let place = Mutex::new(place.map(|(temp, file)| (temp, Arc::new(file))));
        LargeFile {
            meta,
            chunk_bytes,
            place,
            state: Mutex::new(state),
        }
    }

    /// Removes what was written.
    pub fn discard(&self) {
        self.state.lock().done = true;
        if let Some((temp, _)) = self.place.lock().take() {
            temp.discard();
        }
    }

    /// Payload bytes that were counted as verified.
    pub fn written(&self) -> u64 {
        self.state.lock().written
    }

    /// Where to write; `None` when it is over.
    pub fn target(&self) -> Option<Arc<File>> {
        self.place.lock().as_ref().map(|(_, file)| Arc::clone(file))
    }

    /// Is a chunk at this offset of this length one that the file can have?
    pub fn fits(&self, offset: u64, len: usize) -> bool {
        let s = self.state.lock();
        let len = len as u64;
        let size = s.end.map_or(s.size, |(size, _)| size);
        let expected = if size == UNKNOWN_SIZE {
            len
        } else {
            size.saturating_sub(offset).min(self.chunk_bytes)
        };
        offset.is_multiple_of(self.chunk_bytes)
            && len > 0
            && len <= self.chunk_bytes
            && len == expected
            && !s.done
    }

    /// Marks a chunk; false when it was there.
    pub fn mark(&self, offset: u64, len: usize, hash: ChunkHash) -> bool {
        let index = offset / self.chunk_bytes;
        let mut s = self.state.lock();
        if !s.set(index) {
            return false;
        }
        s.tree.set(index, hash);
        s.written += len as u64;
        true
    }

    /// Counts a chunk that did not verify; true while it is worth asking again.
    pub fn ask_again(&self, offset: u64) -> bool {
        let mut s = self.state.lock();
        let times = s.bad.entry(offset).or_default();
        *times += 1;
        *times < MAX_BAD
    }

    pub fn is_sparse(&self) -> bool {
        self.state.lock().sparse
    }

    fn add_holes(&self, runs: &[(u64, u64)]) -> bool {
        let mut s = self.state.lock();
        s.sparse = true;
        if s.size == UNKNOWN_SIZE {
            return runs.is_empty();
        }
        let total = chunk_count(s.size, self.chunk_bytes);
        if runs
            .iter()
            .any(|&(first, count)| first.checked_add(count).is_none_or(|end| end > total))
        {
            return false;
        }
        let size = s.size;
        hash_holes(&mut s.tree, runs, size, self.chunk_bytes);
        for index in runs.iter().flat_map(|&(first, count)| first..first + count) {
            s.set(index);
        }
        true
    }

    fn set_end(&self, size: u64, hash: Hash) {
        self.state.lock().end = Some((size, hash));
    }

    /// When everything is there, once: size, and the root if it is what the sender has.
    pub fn take_complete(&self) -> Option<(u64, Option<Hash>)> {
        let mut s = self.state.lock();
        let (size, hash) = s.end?;
        if s.done || s.count < chunk_count(size, self.chunk_bytes) {
            return None;
        }
        s.done = true;
        let root = s.tree.root(size);
        Some((size, (root == hash).then_some(root)))
    }
}

impl FileState {
    fn set(&mut self, index: u64) -> bool {
        let (word, bit) = ((index / 64) as usize, 1u64 << (index % 64));
        if self.have.len() <= word {
            self.have.resize(word + 1, 0);
        }
        let new = self.have[word] & bit == 0;
        self.have[word] |= bit;
        self.count += u64::from(new);
        new
    }
}

/// Writes a chunk at its offset; in a sparse file blocks of zeros are left out.
pub(super) fn write_at(file: &File, data: &[u8], offset: u64, sparse: bool) -> std::io::Result<()> {
    if !sparse {
        return file.write_all_at(data, offset);
    }
    let mut at = 0;
    while at < data.len() {
        let zero = is_zero(block(data, at));
        let mut end = at;
        while end < data.len() && is_zero(block(data, end)) == zero {
            end += block(data, end).len();
        }
        if !zero {
            file.write_all_at(&data[at..end], offset + at as u64)?;
        }
        at = end;
    }
    Ok(())
}

fn block(data: &[u8], at: usize) -> &[u8] {
    &data[at..(at + HOLE).min(data.len())]
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|&b| b == 0)
}

impl RecvJob {
    /// Makes the place of a large file; false when the entry failed.
    pub(super) fn open(&self, meta: &Meta, size: u64, chunk_log2: u8) -> bool {
        let place = match self.stream.is_some() {
            true => None,
            false => match self.make_place(meta, size) {
                Some(place) => Some(place),
                None => return false,
            },
        };
        let file = Arc::new(LargeFile::new(meta.clone(), size, 1 << chunk_log2, place));
        let early = {
            let mut s = self.state.lock();
            if s.stopped || s.dropped.contains(&meta.id) {
                file.discard();
                return false;
            }
            s.large.insert(meta.id, Arc::clone(&file));
            s.early.remove(&meta.id).unwrap_or_default()
        };
        early.into_iter().for_each(|e| self.late(meta.id, e));
        true
    }

    fn make_place(&self, meta: &Meta, size: u64) -> Option<(Temp, File)> {
        let path = self.place(&meta.path);
        let (folder, name) = match self.parent(path) {
            Ok(found) => found,
            Err(e) => {
                self.refuse(meta, &e);
                return None;
            }
        };
        let made = Temp::file(folder, name).and_then(|(temp, file)| match size {
            UNKNOWN_SIZE => Ok((temp, file)),
            _ => match rustix::fs::ftruncate(&file, size) {
                Ok(()) => Ok((temp, file)),
                Err(e) => {
                    temp.discard();
                    Err(e)
                }
            },
        });
        made.inspect_err(|&e| self.fail_os(meta, "create", e)).ok()
    }

    /// What came before its announcement.
    fn late(&self, id: u32, early: Early) {
        match early {
            Early::Chunk {
                buffer,
                data,
                offset,
                value,
            } => {
                let len = buffer.len() as u32;
                self.chunk_known(id, &buffer.as_slice()[..data], offset, value);
                drop(buffer);
                if let Some(session) = self.session.upgrade() {
                    session.release(len);
                }
            }
            Early::Holes(runs) => self.holes(id, runs),
            Early::End { size, hash } => self.end(id, size, hash),
        }
    }

    /// The file, or the thing is kept until it is announced. `None` also when it was dropped.
    pub(super) fn large_or_early(
        &self,
        id: u32,
        early: impl FnOnce() -> Early,
    ) -> Option<Arc<LargeFile>> {
        let mut s = self.state.lock();
        if let Some(file) = s.large.get(&id) {
            return Some(Arc::clone(file));
        }
        if !s.dropped.contains(&id) && !s.stopped {
            s.early.entry(id).or_default().push(early());
        }
        None
    }

    pub(super) fn holes(&self, id: u32, runs: Vec<(u64, u64)>) {
        let small_grown = self.state.lock().wanted.contains_key(&id);
        if small_grown && !self.grown(id) {
            return;
        }
        let Some(file) = self.large_or_early(id, || Early::Holes(runs.clone())) else {
            return;
        };
        if !file.add_holes(&runs) {
            self.drop_large(
                &file,
                Code::ProtocolViolation,
                "holes beyond the end of the file",
            );
        }
        self.check_complete(&file);
    }

    pub(super) fn end(&self, id: u32, size: u64, hash: Hash) {
        let small_grown = self.state.lock().wanted.contains_key(&id);
        if small_grown && !self.grown(id) {
            return;
        }
        if let Some(file) = self.large_or_early(id, || Early::End { size, hash }) {
            file.set_end(size, hash);
            self.check_complete(&file);
        }
    }

    /// Ends a large file as failed.
    pub(super) fn drop_large(&self, file: &LargeFile, code: Code, text: &str) {
        {
            let mut s = self.state.lock();
            if s.large.remove(&file.meta.id).is_none() || !s.dropped.insert(file.meta.id) {
                return;
            }
        }
        file.discard();
        self.fail_entry(file.meta.id, &file.meta.path, code, text);
    }

    /// Hands a file that is all there to the committer.
    pub(super) fn check_complete(&self, file: &Arc<LargeFile>) {
        let Some((size, root)) = file.take_complete() else {
            return;
        };
        let Some(hash) = root else {
            return self.drop_large(
                file,
                Code::VerificationFailed,
                "the file's hash differs from the sender's",
            );
        };
        {
            let mut s = self.state.lock();
            s.large.remove(&file.meta.id);
            // Whatever of it still arrives is a repetition.
            s.dropped.insert(file.meta.id);
        }
        if self.stream.is_some() {
            return self.stream_done(file, size, hash);
        }
        let Some((temp, handle)) = file.place.lock().take() else {
            return;
        };
        let finished = rustix::fs::ftruncate(&handle, size)
            .and_then(|()| apply(&handle, &file.meta, &self.options));
        match finished {
            Ok(()) => {
                let ready = Ready {
                    meta: file.meta.clone(),
                    temp,
                    file: Some(handle),
                    size,
                    hash,
                };
                self.commit(Commit::File(ready));
            }
            Err(e) => {
                temp.discard();
                let text = format!(
                    "finish {}: {}",
                    shown(self.place(&file.meta.path)),
                    std::io::Error::from(e)
                );
                self.fail_entry(file.meta.id, &file.meta.path, Code::from_errno(e), &text);
            }
        }
    }
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
