//! The one file of a job that goes to a descriptor (standard output), in order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::commit::Commit;
use super::file::LargeFile;
use super::{Meta, RecvJob};
use crate::error::Code;
use crate::hash::{self, Hash};
use crate::pipe::write_full;
use crate::session::{Chunk, MIN_WINDOW, first_window};

/// Chunks that came too early wait here with their credit, so that what waits is bounded by the grant; but the lowest must never lack any because of them. So
/// what is more than the first window but for two chunks gives it back, up to half of the session's memory: a sender with as much reads no further ahead
/// (`send/pumped.rs`).
pub(super) struct Stream {
    out: File,
    next: u64,
    waiting: BTreeMap<u64, Chunk>,
    /// Bytes that wait.
    held: u64,
    /// From how many on, and up to how many, the credit of what comes goes back.
    free: (u64, u64),
    /// The file that it is for.
    of: Option<u32>,
    /// A chunk that was asked for again, and is behind others in the sender's queue: until it comes, credit goes back.
    again: Option<u64>,
}

impl Stream {
    /// `memory`: bytes of buffers of the session.
    pub fn new(out: &File, memory: u64) -> io::Result<Stream> {
        Ok(Stream {
            out: out.try_clone()?,
            next: 0,
            waiting: BTreeMap::new(),
            held: 0,
            free: (first_window(memory) - MIN_WINDOW, memory / 2),
            of: None,
            again: None,
        })
    }

    /// The chunk at `offset` will be sent again.
    pub fn expect_again(&mut self, offset: u64) {
        self.again = self.again.max(Some(offset));
        self.waiting.values_mut().for_each(|c| c.credit = None);
    }

    /// Lets go of what waits.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.held = 0;
    }

    fn write(&mut self, mut chunk: Chunk) -> io::Result<()> {
        if chunk.trailer.offset != self.next {
            self.held += chunk.bytes().len() as u64;
            let (from, to) = self.free;
            let is_free = from < self.held && self.held <= to;
            if is_free || self.again.is_some_and(|again| self.next <= again) {
                chunk.credit = None;
            }
            self.waiting.insert(chunk.trailer.offset, chunk);
            return Ok(());
        }
        self.put(chunk.bytes())?;
        drop(chunk);
        while let Some(chunk) = self.waiting.remove(&self.next) {
            self.held -= chunk.bytes().len() as u64;
            self.put(chunk.bytes())?;
        }
        Ok(())
    }

    fn put(&mut self, data: &[u8]) -> io::Result<()> {
        self.next += data.len() as u64;
        write_full(&self.out, data)
    }
}

impl RecvJob {
    /// True when the stream is for this file.
    pub(super) fn claim_stream(&self, id: u32) -> bool {
        let of = self.stream.as_ref().map(|s| *s.lock().of.get_or_insert(id));
        if of != Some(id) {
            let text = "only one file can go to a stream";
            self.fail_with(Code::InvalidArgument, text);
        }
        of == Some(id)
    }

    pub(super) fn small_to_stream(&self, meta: &Meta, expected: &Hash, content: &[u8]) {
        if hash::whole(content) != *expected {
            let text = "the content does not match the sender's hash";
            return self.fail_entry(meta.id, &meta.path, Code::VerificationFailed, text);
        }
        if self.claim_stream(meta.id) && self.out(|stream| stream.put(content)) {
            self.copied(content.len());
            self.count(content.len() as u64);
            self.commit(Commit::Streamed {
                meta: meta.clone(),
                size: content.len() as u64,
                hash: *expected,
            });
        }
    }

    pub(super) fn to_stream(&self, chunk: Chunk) -> bool {
        let len = chunk.bytes().len();
        let taken = self.out(|stream| stream.write(chunk));
        self.copied(if taken { len } else { 0 });
        taken
    }

    pub(super) fn stream_done(&self, file: &Arc<LargeFile>, size: u64, hash: Hash) {
        let whole = self.stream.as_ref().is_some_and(|s| s.lock().next == size);
        if !whole {
            // Its holes were left out, though they can't be made here.
            let text = "the sender left out holes of a stream";
            return self.fail_entry(file.meta.id, &file.meta.path, Code::ProtocolViolation, text);
        }
        self.commit(Commit::Streamed {
            meta: file.meta.clone(),
            size,
            hash,
        });
    }

    fn out(&self, write: impl FnOnce(&mut Stream) -> io::Result<()>) -> bool {
        let Some(stream) = &self.stream else {
            return false;
        };
        let written = write(&mut stream.lock());
        let Err(e) = written else { return true };
        let code = if e.kind() == io::ErrorKind::BrokenPipe {
            Code::Aborted
        } else {
            Code::IoError
        };
        let text = format!("standard output: {e}");
        self.fail_with(code, &text);
        false
    }
}
