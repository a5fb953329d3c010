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
use crate::job::State;
use crate::pipe::write_full;

/// Chunks that came too early wait here; the sender reads at most a few ahead of the lowest unsent one.
pub(super) struct Stream {
    out: File,
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    used: bool,
}

impl Stream {
    pub fn new(out: &File) -> io::Result<Stream> {
        Ok(Stream {
            out: out.try_clone()?,
            next: 0,
            waiting: BTreeMap::new(),
            used: false,
        })
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<u64> {
        if offset != self.next {
            self.waiting.insert(offset, data.to_vec());
            return Ok(0);
        }
        let start = self.next;
        write_full(&self.out, data)?;
        self.next += data.len() as u64;
        while let Some(data) = self.waiting.remove(&self.next) {
            write_full(&self.out, &data)?;
            self.next += data.len() as u64;
        }
        Ok(self.next - start)
    }
}

impl RecvJob {
    pub(super) fn small_to_stream(&self, meta: &Meta, expected: &Hash, content: &[u8]) {
        if hash::whole(content) != *expected {
            let text = "the content does not match the sender's hash";
            return self.fail_entry(meta.id, &meta.path, Code::VerificationFailed, text);
        }
        if self.to_stream(0, content) {
            self.commit(Commit::Streamed {
                meta: meta.clone(),
                size: content.len() as u64,
                hash: *expected,
            });
        }
    }

    pub(super) fn chunk_to_stream(&self, file: &Arc<LargeFile>, data: &[u8], offset: u64) {
        if self.to_stream(offset, data) {
            self.check_complete(file);
        }
    }

    pub(super) fn stream_done(&self, file: &Arc<LargeFile>, size: u64, hash: Hash) {
        self.commit(Commit::Streamed {
            meta: file.meta.clone(),
            size,
            hash,
        });
    }

    fn to_stream(&self, offset: u64, data: &[u8]) -> bool {
        let Some(stream) = &self.stream else {
            return false;
        };
        let mut stream = stream.lock();
        if offset == 0 && std::mem::replace(&mut stream.used, true) {
            drop(stream);
            self.abort_as(
                Code::InvalidArgument,
                "only one file can go to a stream",
                State::Failed,
            );
            return false;
        }
        match stream.write(offset, data) {
            Ok(written) => {
                drop(stream);
                self.count(written);
                true
            }
            Err(e) => {
                drop(stream);
                let code = if e.kind() == io::ErrorKind::BrokenPipe {
                    Code::Aborted
                } else {
                    Code::IoError
                };
                let text = format!("standard output: {e}");
                self.status.error(super::job_error(code, &text));
                self.abort_as(code, &text, State::Failed);
                false
            }
        }
    }
}
