//! Large files: begun, their chunks verified and handed over, committed or given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pb_proto::message::item::UNKNOWN_SIZE;
use pb_proto::message::note::Note;

use super::super::early::Early;
use super::super::entries::{TooEarly, Wanted};
use super::super::file::LargeFile;
use super::{PumpedRecv, subject};
use crate::copies::Step;
use crate::error::Code;
use crate::fs::Kind;
use crate::hash;
use crate::job::add;
use crate::pump::{Ask, Memory, Reply};
use crate::session::Chunk;

impl PumpedRecv {
    /// Begins a large file and takes what came before its announcement.
    pub(super) fn open(&self, wanted: Wanted) {
        if self.entries.is_full() {
            return self.breach("more open files than a sender may have");
        }
        let Wanted {
            meta,
            token,
            size,
            chunk_log2,
        } = wanted;
        if !self.entries.begin(meta.id) {
            return;
        }
        // What was read of a stream is gone: no later run goes on with it.
        let known = (size != UNKNOWN_SIZE)
            .then(|| self.known(&meta, size, &token))
            .flatten();
        let file = Arc::new(LargeFile::new(meta, 1 << chunk_log2, None, known));
        // Before it is open, when any thread may ask for chunks of it to be written.
        let ask = Ask::Create(subject(&file.meta, Kind::File, size));
        let begun = Arc::clone(&file);
        self.ask(ask, Memory::None, move |job, _, answer| match answer {
            Ok(Reply::State(state)) => job.named(&begun, state),
            Ok(_) => {}
            Err(e) => job.drop_large(&begun, e.code, &e.message),
        });
        let Some(early) = self.entries.open(&file) else {
            // Its fate was decided meanwhile.
            if !self.stopped() {
                self.give_up(&file);
            }
            return;
        };
        for each in early {
            match each {
                Early::Chunk(chunk) => self.chunk_of(&file, chunk),
                // Refused when they came.
                Early::Holes(_) => {}
                Early::End { size, hash } => {
                    file.set_end(size, hash);
                    self.check_complete(&file);
                }
            }
        }
    }

    /// The first that comes of an offered file begins it.
    fn begin(&self, id: u32) {
        if let Some(w) = self.entries.take_wanted(id) {
            self.open(w);
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

    pub(super) fn chunk_arrived(&self, chunk: Chunk) {
        let id = chunk.trailer.file;
        if let Some((file, Early::Chunk(chunk))) = self.large_or_early(id, Early::Chunk(chunk)) {
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
        let value = hash.chaining_value;
        if !file.claim(offset, len, hash) {
            return;
        }
        let ask = Ask::Write {
            id: file.meta.id,
            offset,
        };
        let file = Arc::clone(file);
        // The chunk, and with it its credit, goes when the carrier has answered.
        self.ask(ask, Memory::Chunk(chunk), move |job, chunk, answer| {
            drop(chunk);
            if let Some(session) = job.session.upgrade() {
                session.copies.add(Step::Write, len);
            }
            if let Err(e) = answer {
                return job.drop_large(&file, e.code, &e.message);
            }
            if let Some(before) = file.wrote(len, &job.status.counters.bytes) {
                job.to_record(&file, offset, (len, value));
                job.tell_progress(before, len as u64);
                job.check_complete(&file);
            }
        });
    }

    pub(super) fn count(&self, bytes: u64) {
        let counter = &self.status.counters.bytes;
        let before = counter.fetch_add(bytes, Ordering::Relaxed);
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
        if let Some(session) = self.session.upgrade() {
            let id = file.meta.id;
            session.send_notes(self.options.job, &[Note::Bad { id, offset }]);
        }
    }

    /// Asks for the final name of a file that is all there.
    pub(super) fn check_complete(&self, file: &Arc<LargeFile>) {
        let Some((size, root)) = file.take_complete() else {
            return;
        };
        let id = file.meta.id;
        if self.entries.decide(id).is_none() {
            return;
        }
        let Some(hash) = root else {
            self.give_up(file);
            let text = "the file's hash differs from the sender's";
            return self.fail_entry(id, &file.meta.path, Code::VerificationFailed, text);
        };
        let file = Arc::clone(file);
        self.ask(
            Ask::Commit { id, size },
            Memory::Bytes(hash.to_vec()),
            move |job, _, answer| match answer {
                Ok(_) => job.finished(&file.meta, file.known.map(|k| k.key), (size, hash)),
                Err(e) => {
                    job.give_up(&file);
                    job.fail_entry(id, &file.meta.path, e.code, &e.message);
                }
            },
        );
    }

    /// Ends a large file as failed.
    pub(super) fn drop_large(&self, file: &LargeFile, code: Code, text: &str) {
        if self.entries.decide(file.meta.id).is_some() {
            self.give_up(file);
            self.fail_entry(file.meta.id, &file.meta.path, code, text);
        }
    }

    /// What is written of it goes.
    pub(super) fn give_up(&self, file: &LargeFile) {
        file.discard(&self.status.counters.bytes);
        self.pump.tell(Ask::Discard { id: file.meta.id });
        if let (Some(keeping), Some(known)) = (&self.keeping, file.known) {
            keeping.ledger.discarded(&known.key);
        }
    }
}
