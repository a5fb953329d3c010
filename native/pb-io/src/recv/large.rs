//! Large files of a job: begun, completed, given up.

use std::fs::File;
use std::sync::Arc;

use pb_proto::message::item::{ChunkRun, SourceToken, UNKNOWN_SIZE};

use super::commit::{Commit, Ready};
use super::early::Early;
use super::entries::TooEarly;
use super::file::{HoleError, LargeFile};
use super::temp::{Temp, apply};
use super::{Meta, RecvJob, shown};
use crate::error::Code;
use crate::hash::Hash;

/// Why there is no place for a file.
type NoPlace = (Code, String);

impl RecvJob {
    /// Makes the place of a large file and takes what came before its announcement.
    pub(super) fn open(&self, meta: &Meta, size: u64, chunk_log2: u8, token: &SourceToken) {
        if self.entries.is_full() {
            return self.breach("more open files than a sender may have");
        }
        self.pace();
        let place = match self.stream.is_some() {
            true => self.claim_stream(meta.id).then_some(None),
            false if self.discards() => Some(None),
            false => match self.make_place(meta, size) {
                Ok(place) => Some(Some(place)),
                Err((code, text)) => return self.fail_undecided(meta, code, &text),
            },
        };
        let Some(place) = place else { return };
        let known = self.known(meta, size, token);
        let file = Arc::new(LargeFile::new(meta.clone(), 1 << chunk_log2, place, known));
        let Some(early) = self.entries.open(&file) else {
            return self.discard_large(&file);
        };
        if !early.is_empty() {
            // Its holes may be told behind its announcement: until then zeros that came before it stay holes too.
            file.add_holes(&[]);
        }
        early.into_iter().for_each(|e| self.late(meta.id, e));
    }

    fn make_place(&self, meta: &Meta, size: u64) -> Result<(Temp, File), NoPlace> {
        let (folder, name) = self
            .parent(self.place(&meta.path))
            .map_err(|e| (e.code, e.to_string()))?;
        let os = |e| self.os_text(meta, "create", e);
        let (temp, file) = Temp::file(folder, self.name_tag, name).map_err(os)?;
        if size != UNKNOWN_SIZE
            && let Err(e) = rustix::fs::ftruncate(&file, size)
        {
            temp.discard();
            return Err(os(e));
        }
        Ok((temp, file))
    }

    /// What came before its announcement.
    fn late(&self, id: u32, early: Early) {
        match early {
            Early::Chunk(chunk) => self.chunk_known(id, chunk),
            Early::Holes(runs) => self.holes(id, runs),
            Early::End { size, hash } => self.end(id, size, hash),
        }
    }

    /// The first that comes of an offered file makes its place: files that only wait cost no descriptor.
    pub(super) fn begin(&self, id: u32) {
        if let Some(w) = self.entries.take_wanted(id) {
            self.open(&w.meta, w.size, w.chunk_log2, &w.token);
        }
    }

    /// The file, or the thing is kept until it is announced. `None` also when its fate is decided.
    pub(super) fn large_or_early(&self, id: u32, early: Early) -> Option<(Arc<LargeFile>, Early)> {
        self.begin(id);
        self.entries
            .large_or_early(id, early)
            .unwrap_or_else(|TooEarly| {
                self.breach("too much for files that were never announced");
                None
            })
    }

    pub(super) fn holes(&self, id: u32, runs: Vec<ChunkRun>) {
        let Some((file, Early::Holes(runs))) = self.large_or_early(id, Early::Holes(runs)) else {
            return;
        };
        if !file.add_holes(&runs) {
            self.drop_large(&file, Code::ProtocolViolation, "too many holes");
        }
        self.fill(&file);
    }

    pub(super) fn end(&self, id: u32, size: u64, hash: Hash) {
        if let Some((file, _)) = self.large_or_early(id, Early::End { size, hash }) {
            file.set_end(size, hash);
            self.fill(&file);
        }
    }

    fn fill(&self, file: &Arc<LargeFile>) {
        if let Err(e) = file.fill_holes(&|| self.stopped()) {
            let code = match &e {
                HoleError::BeyondEnd => Code::ProtocolViolation,
                HoleError::Io(e) => {
                    rustix::io::Errno::from_io_error(e).map_or(Code::IoError, Code::from_errno)
                }
            };
            self.drop_large(file, code, &e.to_string());
        }
        self.check_complete(file);
    }

    /// Ends a large file as failed.
    pub(super) fn drop_large(&self, file: &LargeFile, code: Code, text: &str) {
        if self.entries.decide(file.meta.id).is_some() {
            self.discard_large(file);
            self.fail_entry(file.meta.id, &file.meta.path, code, text);
        }
    }

    /// Hands a file that is all there to the committer.
    pub(super) fn check_complete(&self, file: &Arc<LargeFile>) {
        let Some((size, root)) = file.take_complete() else {
            return;
        };
        let Some(hash) = root else {
            let text = "the file's hash differs from the sender's";
            return self.drop_large(file, Code::VerificationFailed, text);
        };
        // Whatever of it still arrives is a repetition.
        if self.entries.decide(file.meta.id).is_none() {
            return;
        }
        if self.stream.is_some() {
            return self.stream_done(file, size, hash);
        }
        // Its holes are verified, too.
        self.count(size.saturating_sub(file.written()));
        if self.discards() {
            return self.discarded(&file.meta, size, hash);
        }
        let Some((temp, handle)) = file.take_place() else {
            return;
        };
        let finished = rustix::fs::ftruncate(&handle, size)
            .and_then(|()| apply(&handle, &file.meta, &self.options));
        if let Err(e) = finished {
            temp.discard();
            self.part_gone(file.known.map(|k| k.key));
            let (code, text) = self.os_text(&file.meta, "finish", e);
            return self.fail_entry(file.meta.id, &file.meta.path, code, &text);
        }
        self.commit(Commit::File(Ready {
            meta: file.meta.clone(),
            temp,
            file: self.held_open(handle),
            size,
            hash,
            key: file.known.map(|k| k.key),
            syncs: Some(Arc::clone(&file.syncs)),
        }));
    }

    pub(super) fn os_text(&self, meta: &Meta, op: &str, e: rustix::io::Errno) -> NoPlace {
        let path = shown(self.place(&meta.path));
        let text = format!("{op} {path}: {}", std::io::Error::from(e));
        (Code::from_errno(e), text)
    }
}
