//! What the receiver says.

use std::sync::atomic::Ordering;

use pb_proto::message::note::{Note, Outcome};

use super::resume::Breach;
use super::{SendJob, Sent, abort, job_error};
use crate::error::Code;
use crate::fs::Kind;
use crate::job::{JobError, State, add};

impl SendJob {
    pub(super) fn heard(&self, note: &Note<'_>) {
        match note {
            Note::Accept { push, dense } => self.plan.lock().accept(*push, *dense),
            Note::Want { id } => self.plan.lock().want(*id),
            Note::Resume {
                id,
                chunk_log2,
                chunks,
            } => {
                let heard = self.plan.lock().resume(*id, *chunk_log2, *chunks);
                heard.unwrap_or_else(|Breach| self.breach());
            }
            Note::Have {
                id,
                chunk_log2,
                first,
                values,
            } => {
                let heard = self.plan.lock().have(*id, *chunk_log2, (*first, values));
                heard.unwrap_or_else(|Breach| self.breach());
            }
            Note::Bad { id, offset } => self.again(*id, *offset),
            Note::Progress { bytes } => {
                _ = self
                    .status
                    .counters
                    .bytes
                    .fetch_max(*bytes, Ordering::Relaxed)
            }
            Note::Result { id, outcome } => self.result(*id, outcome),
            Note::Done { bytes, redone } => {
                let counters = &self.status.counters;
                counters.bytes.fetch_max(*bytes, Ordering::Relaxed);
                counters.redone_files.store(*redone, Ordering::Relaxed);
                if self.plan.lock().receiver_done() {
                    self.conclude(State::Done, None, None);
                }
            }
            Note::Abort { code, text } => {
                let text = String::from_utf8_lossy(text);
                self.end_by_receiver(Code::from_wire(code), &text);
            }
        }
        self.work.notify_one();
    }

    fn again(&self, id: u32, offset: u64) {
        let Some(file) = self.plan.lock().kept(id) else {
            return;
        };
        if file.is_pipe() {
            // What was read of a pipe can't be read again, and not everything of it is in memory.
            return self.lost(&file, offset);
        }
        let index = offset / file.chunk_bytes;
        if self.plan.lock().again(id, index) {
            add(&self.status.counters.chunks_refetched, 1);
        }
    }

    /// The receiver says of a file what it can't have.
    fn breach(&self) {
        let text = "the receiver says that it has what the file can't have";
        let (code, note) = (
            Code::ProtocolViolation,
            abort(Code::ProtocolViolation, text),
        );
        self.conclude(State::Failed, Some(job_error(code, text)), Some(note));
    }

    fn result(&self, id: u32, outcome: &Outcome<'_>) {
        let Some(sent) = self.plan.lock().settle(id) else {
            return;
        };
        let counters = &self.status.counters;
        match outcome {
            Outcome::Done { hash } if sent.hash != Some(*hash) => self.differs(&sent),
            Outcome::Done { hash } => {
                self.status.file(&sent.target, sent.size, *hash);
                return self.take_away(sent);
            }
            Outcome::Placed if sent.kind == Kind::Directory => add(&counters.directories, 1),
            Outcome::Placed => {
                add(&counters.symlinks, 1);
                return self.take_away(sent);
            }
            Outcome::Resumed { hash } => {
                self.status.resumed(&sent.target, sent.size, *hash);
                return self.take_away(sent);
            }
            // A link that is there already is no file and has no bytes.
            Outcome::Skipped if sent.kind != Kind::File => {}
            Outcome::Skipped => {
                add(&counters.skipped_files, 1);
                add(&counters.skipped_bytes, sent.size);
            }
            Outcome::Failed { code, text } => {
                add(&counters.failed, 1);
                self.error(&sent, Code::from_wire(code), &String::from_utf8_lossy(text));
            }
        }
        self.dealt_with();
    }

    /// One more result needs nothing more; the last ends the job.
    pub(super) fn dealt_with(&self) {
        if self.plan.lock().result_done() {
            self.conclude(State::Done, None, None);
        }
    }

    fn differs(&self, sent: &Sent) {
        add(&self.status.counters.failed, 1);
        let text = "the receiver's hash differs from the sender's";
        self.error(sent, Code::VerificationFailed, text);
    }

    /// The entry is where it should be; in a move its source goes.
    fn take_away(&self, sent: Sent) {
        if let Some(pump) = self.pump.as_ref().filter(|_| self.options.remove_sources) {
            return self.remove_pumped(pump, sent);
        }
        self.remove_source(&sent);
        self.dealt_with();
    }

    /// The destination is durable: the source goes, if it is still what was sent (T21).
    fn remove_source(&self, sent: &Sent) {
        if !self.options.remove_sources {
            return;
        }
        let Some(root) = self.options.roots.get(sent.root) else {
            return;
        };
        let removed = root
            .stat(&sent.source, self.options.follow && sent.kind == Kind::File)
            .and_then(|now| {
                if sent.is_still(&now) {
                    root.remove(&sent.source, false).map(|_| true)
                } else {
                    Ok(false)
                }
            });
        match removed {
            Ok(true) => add(&self.status.counters.removed_sources, 1),
            Ok(false) => self.error(
                sent,
                Code::SourceChanged,
                "changed after it was copied; the source is kept",
            ),
            Err(e) => self.error(
                sent,
                e.code,
                &format!("copied, but the source could not be removed: {e}"),
            ),
        }
    }

    pub(super) fn error(&self, sent: &Sent, code: Code, message: &str) {
        let path = if sent.source.is_empty() {
            sent.target.clone()
        } else {
            sent.source.clone()
        };
        self.status.error(JobError {
            code,
            path,
            message: message.to_string(),
        });
    }
}
