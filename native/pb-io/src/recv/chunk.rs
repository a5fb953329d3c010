//! Chunks of large files: verified, written, counted.

use pb_proto::message::ChunkTrailer;
use pb_proto::message::note::Note;

use super::file::write_at;
use super::{Early, RecvJob, shown};
use crate::buffer::Buffer;
use crate::error::Code;
use crate::hash::{self, Hash};
use crate::job::{add, get};
use crate::session::Held;

impl RecvJob {
    /// A chunk unit; `data` is how many bytes of the buffer are the file's.
    pub(crate) fn chunk(&self, buffer: Buffer, data: usize, trailer: ChunkTrailer) -> Held {
        let (id, offset, value) = (trailer.file, trailer.offset, trailer.chaining_value);
        let grown = self.state.lock().wanted.contains_key(&id);
        if grown && !self.grown(id) {
            return Held::No;
        }
        {
            let mut s = self.state.lock();
            if s.stopped || s.dropped.contains(&id) {
                return Held::No;
            }
            if !s.large.contains_key(&id) {
                s.early.entry(id).or_default().push(Early::Chunk {
                    buffer,
                    data,
                    offset,
                    value,
                });
                return Held::Yes;
            }
        }
        self.chunk_known(id, &buffer.as_slice()[..data], offset, value);
        Held::No
    }

    /// A chunk of a file that is announced (or over: then nothing happens).
    pub(super) fn chunk_known(&self, id: u32, data: &[u8], offset: u64, value: Hash) {
        let Some(file) = self.state.lock().large.get(&id).cloned() else {
            return;
        };
        if !file.fits(offset, data.len()) {
            return self.drop_large(
                &file,
                Code::ProtocolViolation,
                "a chunk beyond the end of the file",
            );
        }
        let hash = hash::chunk(offset, data);
        if hash.chaining_value != value {
            return self.bad(&file, offset);
        }
        if self.stream.is_some() {
            if file.mark(offset, data.len(), hash) {
                self.chunk_to_stream(&file, data, offset);
            }
            return;
        }
        let Some(target) = file.target() else { return };
        if let Err(e) = write_at(&target, data, offset, file.is_sparse()) {
            let code = rustix::io::Errno::from_io_error(&e).map_or(Code::IoError, Code::from_errno);
            let text = format!("write {}: {e}", shown(self.place(&file.meta.path)));
            return self.drop_large(&file, code, &text);
        }
        if file.mark(offset, data.len(), hash) {
            self.count(data.len() as u64);
        }
        self.check_complete(&file);
    }

    /// Counts verified bytes and tells the sender every few megabytes.
    pub(super) fn count(&self, bytes: u64) {
        const STEP: u64 = 4 << 20;
        let counter = &self.status.counters.bytes;
        let before = get(counter);
        add(counter, bytes);
        if before / STEP != (before + bytes) / STEP
            && let Some(session) = self.session.upgrade()
        {
            session.send_notes(
                self.options.job,
                &[Note::Progress {
                    bytes: before + bytes,
                }],
            );
        }
    }

    fn bad(&self, file: &super::file::LargeFile, offset: u64) {
        add(&self.status.counters.chunks_refetched, 1);
        if !file.ask_again(offset) {
            let text = format!("the chunk at {offset} did not verify three times");
            return self.drop_large(file, Code::VerificationFailed, &text);
        }
        if let Some(session) = self.session.upgrade() {
            session.send_notes(
                self.options.job,
                &[Note::Bad {
                    id: file.meta.id,
                    offset,
                }],
            );
        }
    }
}
