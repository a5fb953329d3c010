//! Chunks of large files: verified, written, counted.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pb_proto::message::note::Note;

use super::early::Early;
use super::file::{LargeFile, write_at};
use super::{RecvJob, shown};
use crate::copies::Step;
use crate::error::Code;
use crate::hash;
use crate::job::add;
use crate::session::Chunk;

impl RecvJob {
    /// A chunk unit.
    pub(super) fn chunk_arrived(&self, chunk: Chunk) {
        let id = chunk.trailer.file;
        let _busy = self.gate.enter();
        if let Some((file, Early::Chunk(chunk))) = self.large_or_early(id, Early::Chunk(chunk)) {
            self.chunk_of(&file, chunk);
        }
    }

    /// A chunk of a file that is announced (or over: then nothing happens).
    pub(super) fn chunk_known(&self, id: u32, chunk: Chunk) {
        if let Some(file) = self.entries.large(id) {
            self.chunk_of(&file, chunk);
        }
    }

    fn chunk_of(&self, file: &Arc<LargeFile>, chunk: Chunk) {
        let (offset, len) = (chunk.trailer.offset, chunk.bytes().len());
        if !file.fits(offset, len) {
            let text = "a chunk that the file can't have";
            return self.drop_large(file, Code::ProtocolViolation, text);
        }
        let hash = hash::chunk(offset, chunk.bytes());
        if hash.chaining_value != chunk.trailer.chaining_value {
            return self.bad(file, offset);
        }
        self.pace_chunk();
        // Claimed before it is written: nothing verified is ever written over.
        if !file.claim(offset, len, hash) {
            return;
        }
        let value = chunk.trailer.chaining_value;
        let written = match self.stream.is_some() {
            true => self.to_stream(chunk),
            false => self.discards() || self.to_file(file, &chunk),
        };
        if written {
            self.to_record(file, offset, len, value);
        }
        if let Some(before) = file.wrote(len, &self.status.counters.bytes) {
            self.tell_progress(before, len as u64);
        }
        if written {
            self.check_complete(file);
        }
    }

    fn to_file(&self, file: &LargeFile, chunk: &Chunk) -> bool {
        let Some(target) = file.target() else {
            return false;
        };
        let sparse = file.leaves_out_zeros(chunk.trailer.sparse);
        let wrote = write_at(&target, chunk.bytes(), chunk.trailer.offset, sparse);
        self.copied(*wrote.as_ref().unwrap_or(&0));
        let Err(e) = wrote else {
            return true;
        };
        let code = rustix::io::Errno::from_io_error(&e).map_or(Code::IoError, Code::from_errno);
        let text = format!("write {}: {e}", shown(self.place(&file.meta.path)));
        self.drop_large(file, code, &text);
        false
    }

    /// Counts bytes that were copied to where they go.
    pub(super) fn copied(&self, bytes: usize) {
        if let Some(session) = self.session.upgrade() {
            session.copies.add(Step::Write, bytes);
        }
    }

    /// Counts verified bytes.
    pub(super) fn count(&self, bytes: u64) {
        let before = self
            .status
            .counters
            .bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.tell_progress(before, bytes);
    }

    /// Tells the sender every few megabytes.
    fn tell_progress(&self, before: u64, bytes: u64) {
        const STEP: u64 = 4 << 20;
        let now = before + bytes;
        if before / STEP != now / STEP
            && let Some(session) = self.session.upgrade()
        {
            session.send_notes(self.options.job, &[Note::Progress { bytes: now }]);
        }
    }

    fn bad(&self, file: &LargeFile, offset: u64) {
        add(&self.status.counters.chunks_refetched, 1);
        if !file.ask_again(offset) {
            let text = format!("the chunk at {offset} did not verify three times");
            return self.drop_large(file, Code::VerificationFailed, &text);
        }
        if let Some(stream) = &self.stream {
            stream.lock().expect_again(offset);
        }
        if let Some(session) = self.session.upgrade() {
            let id = file.meta.id;
            session.send_notes(self.options.job, &[Note::Bad { id, offset }]);
        }
    }
}
