//! A receiving job whose files a carrier writes, by [`Pump`]: what arrives is verified here and handed over, and the sender hears
//! "done" when the carrier says that it is.

mod durable;
mod files;
mod items;
mod resume;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use pb_proto::message::DecodeError;
use pb_proto::message::note::{Note, Outcome};

use self::durable::Keeping;
use super::checkpoint::CheckpointOptions;
use super::ending::abort;
use super::entries::{Entries, TooManyResults};
use super::gate::Gate;
use super::{Meta, Unfinished, job_error};
use crate::error::Code;
use crate::fs::Kind;
use crate::job::{JobError, State, Status, add, get};
use crate::pump::{Ask, Memory, Pump, Subject};
use crate::session::{AnyJob, Chunk, Job, Session};
use crate::transport::TransportError;

/// How to receive.
pub struct PumpedOptions {
    pub job: u32,
    /// What comes is one file, whose name is known to the carrier.
    pub exact_name: bool,
    /// The sender need not ask: what it sends was chosen already, or nothing is there.
    pub push: bool,
}

/// See the module.
pub struct PumpedRecv {
    options: PumpedOptions,
    session: Weak<Session>,
    status: Arc<Status>,
    pump: Arc<Pump>,
    entries: Entries,
    me: Weak<PumpedRecv>,
    gate: Gate,
    /// Bytes of small files that the carrier has: no credit stands for them.
    handed: AtomicUsize,
    /// What a later run is to know.
    keeping: Option<Keeping>,
}

/// What the carrier may have of small files before further ones wait in the session, where credit bounds them.
const MAX_HANDED: usize = 16 << 20;
/// Of large files: a part of an upload to S3 (8 MiB) is held from its first chunk until the server has answered, which over a path of 50 ms takes a second, as
/// connections there are often new ones. Three at once, which is what a receiver's window begins with, are too few.
const WINDOW: u64 = 96 << 20;
/// What a small file costs besides its content.
const SMALL_COST: usize = 1024;

impl PumpedRecv {
    /// Adds the job to a session and tells the sender to begin. With a `checkpoint` what becomes durable at the carrier's end is told,
    /// and what it holds of earlier runs is not received again, as far as it is still there.
    pub fn start(
        session: &Arc<Session>,
        options: PumpedOptions,
        (status, pump): (Arc<Status>, Arc<Pump>),
        checkpoint: Option<CheckpointOptions>,
    ) -> Result<Arc<PumpedRecv>, JobError> {
        let keeping = checkpoint.map(Keeping::new);
        let known = keeping.as_ref().is_some_and(|k| !k.past.is_empty());
        let push = options.push && !known;
        let job = Arc::new_cyclic(|me| PumpedRecv {
            session: Arc::downgrade(session),
            status,
            pump,
            entries: Entries::default(),
            me: me.clone(),
            gate: Gate::default(),
            handed: AtomicUsize::new(0),
            keeping,
            options,
        });
        durable::spawn(&job).map_err(|e| job_error(Code::ResourceExhausted, &e.to_string()))?;
        let number = job.options.job;
        if let Err(e) = session.add_job(number, Arc::clone(&job) as AnyJob) {
            job.conclude(State::Failed, None, &[]);
            return Err(job_error(e.code, &e.message));
        }
        session.hold(WINDOW);
        // Holes are bytes like others to most endpoints.
        session.send_notes(number, &[Note::Accept { push, dense: true }]);
        Ok(job)
    }

    /// Stops the job and tells the sender. Said again, it is not waited for what was not recorded.
    pub fn abort(&self, reason: &str, unfinished: Unfinished) {
        self.abandon(unfinished);
        self.conclude(State::Aborted, None, &[abort(Code::Aborted, reason)]);
    }

    /// As of a [`RecvJob`](super::RecvJob).
    pub fn fail_for(&self, code: Code, reason: &str) {
        self.abandon(Unfinished::Keep);
        self.conclude(State::Failed, None, &[abort(code, reason)]);
    }

    fn fail_with(&self, code: Code, text: &str) {
        let cause = job_error(code, text);
        self.conclude(State::Failed, Some(cause), &[abort(code, text)]);
    }

    fn end_by_sender(&self, code: Code, text: &str) {
        let state = match code {
            Code::Aborted => State::Aborted,
            _ => State::Failed,
        };
        self.conclude(state, Some(job_error(code, text)), &[]);
    }

    /// As of a [`RecvJob`](super::RecvJob): over before the sender hears a word.
    fn conclude(&self, state: State, cause: Option<JobError>, notes: &[Note<'_>]) {
        let Some(left) = self.entries.stop() else {
            return;
        };
        if let Some(cause) = cause {
            self.status.error(cause);
        }
        if let Some(session) = self.session.upgrade() {
            if !notes.is_empty() {
                session.send_notes(self.options.job, notes);
            }
            session.remove_job(self.options.job);
        }
        self.gate.room();
        match &self.keeping {
            Some(keeping) => keeping.end(state, left.collect()),
            None => self.ended(state),
        }
    }

    /// Nothing is asked any more.
    fn ended(&self, state: State) {
        self.pump.close();
        self.status.end(state);
    }

    fn stopped(&self) -> bool {
        self.entries.stopped()
    }

    fn breach(&self, text: &str) {
        self.fail_with(Code::ProtocolViolation, text);
    }

    fn resolve(&self, id: u32, outcome: Outcome<'_>) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        session.send_notes(self.options.job, &[Note::Result { id, outcome }]);
        self.entries.resolved(1);
        self.check_finished();
    }

    fn check_finished(&self) {
        match self.entries.all_resolved() {
            Ok(true) => self.finish(),
            Ok(false) => {}
            Err(TooManyResults) => self.breach("more entries than the sender said there are"),
        }
    }

    fn finish(&self) {
        self.drop_unclaimed_parts();
        self.ask(Ask::End, Memory::None, |job, _, answer| {
            if let Err(e) = answer {
                job.status.error(job_error(e.code, &e.message));
            }
            let bytes = get(&job.status.counters.bytes);
            job.conclude(State::Done, None, &[Note::Done { bytes, redone: 0 }]);
        });
    }

    /// As of a [`RecvJob`](super::RecvJob).
    fn fail_entry(&self, id: u32, path: &[u8], code: Code, text: &str) {
        add(&self.status.counters.failed, 1);
        let error = JobError {
            code,
            path: path.to_vec(),
            message: text.to_string(),
        };
        let outcome = Outcome::Failed {
            code: code.as_str().as_bytes(),
            text: text.as_bytes(),
        };
        // Nothing else will fit, or be let in, either.
        if matches!(code, Code::NoSpace | Code::Unauthenticated) {
            let notes = [Note::Result { id, outcome }, abort(code, text)];
            return self.conclude(State::Failed, Some(error), &notes);
        }
        self.status.error(error);
        self.resolve(id, outcome);
    }

    /// Asks the carrier; `then` runs where it answers, if the job is still there.
    fn ask(
        &self,
        ask: Ask,
        memory: Memory,
        then: impl FnOnce(&Arc<PumpedRecv>, Memory, crate::pump::Answer) + Send + 'static,
    ) {
        let me = self.me.clone();
        let heard = move |memory, answer| {
            if let Some(job) = me.upgrade().filter(|job| !job.stopped()) {
                then(&job, memory, answer);
            }
        };
        self.pump.ask(ask, memory, Box::new(heard));
    }

    /// A small file goes to the carrier: waits while it has enough of them.
    fn pace(&self, len: usize) {
        let full = || self.handed.load(Ordering::Acquire) > MAX_HANDED && !self.stopped();
        self.gate.wait_while(full);
        self.handed.fetch_add(len + SMALL_COST, Ordering::AcqRel);
    }

    fn paced(&self, len: usize) {
        self.handed.fetch_sub(len + SMALL_COST, Ordering::AcqRel);
        self.gate.room();
    }
}

fn subject(meta: &Meta, kind: Kind, size: u64) -> Subject {
    Subject {
        id: meta.id,
        path: meta.path.clone(),
        kind,
        size,
        mtime_ns: meta.mtime_ns,
        mode: meta.mode,
        version: 0,
    }
}

impl Job for PumpedRecv {
    fn receives(&self) -> bool {
        true
    }

    fn chunk(&self, chunk: Chunk) {
        self.chunk_arrived(chunk);
    }

    fn bundle(&self, items: &[u8]) -> Result<(), DecodeError> {
        self.bundle_arrived(items)
    }

    fn hear(&self, note: &Note<'_>) {
        if let Note::Abort { code, text } = note {
            let text = String::from_utf8_lossy(text);
            self.end_by_sender(Code::from_wire(code), &text);
        }
    }

    fn fail(&self, why: &TransportError) {
        self.end_by_sender(why.code, &why.message);
    }
}
