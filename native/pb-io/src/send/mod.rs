//! The sending side of a job: entries come in, units go out, results come back.
//!
//! Readers (threads) take tasks from the [`plan`](plan::Plan): offers, small files gathered into bundles, chunks of large
//! files. What the receiver says arrives on a session's writer thread through [`SendJob::hear`].

mod bundle;
mod feedback;
mod large;
mod plan;
mod pumped;
mod reader;
mod resume;
mod small;

use std::fs::File;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::Code;
use crate::fs::{Kind, Meta, Root};
use crate::hash::Hash;
use crate::job::{JobError, State, Status, add};
use crate::pump::Pump;
use crate::session::{AnyJob, Chunk, Job, Session};
use crate::source::token;
use crate::transport::TransportError;
use pb_proto::message::DecodeError;
use pb_proto::message::item::{NO_TOKEN, SourceToken};
use pb_proto::message::note::Note;
use plan::Plan;
use resume::Resume;

/// Files up to this size travel whole inside bundles; larger ones in chunks.
pub const INLINE_MAX: u64 = 256 << 10;
/// Entries that wait in a job before `push` asks the caller to hold on.
pub const QUEUE_HIGH: usize = 16_384;
/// And when it may go on.
pub const QUEUE_LOW: usize = 8_192;

/// How to send.
pub struct SendOptions {
    pub job: u32,
    pub roots: Vec<Root>,
    /// Power of two, 64 KiB to 1 MiB.
    pub chunk_bytes: u32,
    /// Large files in flight.
    pub parallel_files: usize,
    /// Copy what links point to.
    pub follow: bool,
    /// Remove each source once it is durable at the receiver and unchanged.
    pub remove_sources: bool,
}

/// One thing to send.
pub struct Entry {
    pub root: usize,
    /// Below its root.
    pub source: Vec<u8>,
    /// Below the destination's base.
    pub target: Vec<u8>,
    pub kind: Kind,
    pub size: u64,
    pub mtime_ns: i64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// 0: the listing had none.
    pub inode: u64,
    pub link_target: Vec<u8>,
    /// Read this to its end instead (a pipe).
    pub pipe: Option<File>,
}

/// An entry with its number.
pub(crate) struct Numbered {
    pub id: u32,
    pub entry: Entry,
    /// What the receiver was told of its source.
    pub offered: SourceToken,
    pub offers: u32,
    /// What the receiver said that it has of it.
    pub resume: Option<Box<Resume>>,
}

/// A file that has changed each time when it was opened is offered this often; then whatever is there then is sent, and
/// no later run goes on with it.
const MAX_OFFERS: u32 = 3;

impl Numbered {
    pub fn new(id: u32, entry: Entry) -> Numbered {
        Numbered {
            id,
            entry,
            offered: NO_TOKEN,
            offers: 0,
            resume: None,
        }
    }

    /// The token of the entry as it was listed.
    pub fn listed(&self) -> SourceToken {
        let e = &self.entry;
        match e.pipe.is_some() || e.kind != Kind::File {
            true => NO_TOKEN,
            // An endpoint that tells neither: what is there later may be anything.
            false if e.mtime_ns == 0 && e.inode == 0 => NO_TOKEN,
            false => token(e.size, e.mtime_ns, e.inode),
        }
    }

    /// The token of the entry as it was opened. Where the listing has no inodes there is none in the token.
    pub fn opened(&self, meta: &Meta) -> SourceToken {
        let inode = if self.entry.inode == 0 { 0 } else { meta.inode };
        if meta.mtime_ns == 0 && inode == 0 {
            return NO_TOKEN;
        }
        token(meta.size, meta.mtime_ns, inode)
    }

    /// It is as it was opened. Of one of which the listing knew no more than a length, the version too: the next listing may know it.
    pub fn learn(&mut self, meta: &Meta) {
        let e = &mut self.entry;
        if e.mtime_ns == 0 && e.inode == 0 {
            e.inode = meta.inode;
        }
        e.size = meta.size;
        e.mtime_ns = meta.mtime_ns;
    }

    /// Is what was opened something else than the receiver was told?
    pub fn has_changed(&self, meta: &Meta) -> bool {
        self.offered != NO_TOKEN && self.offered != self.opened(meta)
    }
}

/// What is remembered of an entry until its result is there.
pub(crate) struct Sent {
    pub root: usize,
    pub source: Vec<u8>,
    pub target: Vec<u8>,
    pub kind: Kind,
    pub size: u64,
    pub mtime_ns: i64,
    /// Device and inode of what was read.
    pub inode: Option<(u64, u64)>,
    /// What the receiver was told of it, and whether its inode is in that.
    pub offered: SourceToken,
    pub listed_inode: bool,
    pub listed: u64,
    pub hash: Option<Hash>,
}

impl Sent {
    /// Is this what the receiver has? Of a file that was never opened, as an earlier run had sent it, the token tells.
    pub fn is_still(&self, now: &Meta) -> bool {
        if now.kind != self.kind {
            return false;
        }
        let inode = if self.listed_inode { now.inode } else { 0 };
        match self.inode {
            Some(read) => {
                read == (now.device, now.inode)
                    && now.mtime_ns == self.mtime_ns
                    && (now.kind != Kind::File || now.size == self.size)
            }
            None => {
                self.offered != NO_TOKEN && self.offered == token(now.size, now.mtime_ns, inode)
            }
        }
    }
}

/// A job of the sending side.
pub struct SendJob {
    pub(crate) options: SendOptions,
    pub(crate) session: Weak<Session>,
    pub(crate) plan: Mutex<Plan>,
    /// There may be a task.
    pub(crate) work: Condvar,
    pub status: Arc<Status>,
    /// Where the sources have no descriptors.
    pump: Option<Arc<Pump>>,
    me: Weak<SendJob>,
}

impl SendJob {
    /// Adds the job to a session and starts its readers.
    pub fn start(
        session: &Arc<Session>,
        options: SendOptions,
        status: Arc<Status>,
    ) -> Result<Arc<SendJob>, TransportError> {
        SendJob::start_from(session, options, status, None)
    }

    /// The same, of sources that a carrier reads. `options.roots` has none.
    pub fn start_from(
        session: &Arc<Session>,
        options: SendOptions,
        status: Arc<Status>,
        pump: Option<Arc<Pump>>,
    ) -> Result<Arc<SendJob>, TransportError> {
        let readers = match pump {
            Some(_) => pumped::READERS,
            None => reader_count(),
        };
        let job = Arc::new_cyclic(|me| SendJob {
            plan: Mutex::new(Plan::new(options.parallel_files)),
            options,
            session: Arc::downgrade(session),
            work: Condvar::new(),
            status,
            pump,
            me: me.clone(),
        });
        session.add_job(job.options.job, Arc::clone(&job) as AnyJob)?;
        for n in 0..readers {
            let of_thread = Arc::clone(&job);
            let thread = thread::Builder::new().name(format!("pb-read-{n}"));
            let started = thread.spawn(move || reader::run(&of_thread));
            started.map_err(|e| {
                job.conclude(State::Failed, None, None);
                let message = format!("a reader thread could not be started: {e}");
                TransportError::new(Code::ResourceExhausted, message)
            })?;
        }
        Ok(job)
    }

    /// Queues entries; returns how many wait. Over [`QUEUE_HIGH`] the caller should wait for `Update::Room`.
    pub fn push(&self, entries: Vec<Entry>) -> usize {
        let mut plan = self.plan.lock();
        for entry in entries {
            if entry.kind == Kind::File {
                add(&self.status.counters.total_files, 1);
                add(&self.status.counters.total_bytes, entry.size);
            }
            plan.push(entry);
        }
        self.work.notify_one();
        plan.waiting()
    }

    /// No more entries come.
    pub fn finish(&self) {
        self.plan.lock().close();
        self.work.notify_one();
    }

    /// Stops the job and tells the receiver.
    pub fn abort(&self, reason: &str) {
        self.conclude(State::Aborted, None, Some(abort(Code::Aborted, reason)));
    }

    /// The receiver has ended it, or is gone.
    fn end_by_receiver(&self, code: Code, text: &str) {
        let state = match code {
            Code::Aborted => State::Aborted,
            _ => State::Failed,
        };
        self.conclude(state, Some(job_error(code, text)), None);
    }

    /// Ends the job unless it has been ended: whoever does it first says why, before the receiver hears a word.
    fn conclude(&self, state: State, cause: Option<JobError>, note: Option<Note<'_>>) {
        if !self.plan.lock().stop() {
            return;
        }
        if let Some(cause) = cause {
            self.status.error(cause);
        }
        self.work.notify_all();
        if let Some(session) = self.session.upgrade() {
            if let Some(note) = note {
                session.send_notes(self.options.job, &[note]);
            }
            session.remove_job(self.options.job);
        }
        if let Some(pump) = &self.pump {
            pump.close();
        }
        self.status.end(state);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.plan.lock().stopped()
    }

    /// What was opened is what counts: its size, time and inode, not those of the listing.
    pub(crate) fn remember(&self, id: u32, opened: &Meta) {
        if let Some(sent) = self.plan.lock().sent.get_mut(&id) {
            sent.mtime_ns = opened.mtime_ns;
            sent.inode = Some((opened.device, opened.inode));
            self.resize(sent, opened.size);
        }
    }

    /// The size of an entry is not what was pushed.
    pub(crate) fn resize(&self, sent: &mut Sent, size: u64) {
        let change = size.wrapping_sub(sent.size);
        add(&self.status.counters.total_bytes, change);
        sent.size = size;
    }

    /// Waits for a task, or the end. Whatever may bring work wakes one reader, and one that finds some wakes the next: of dozens that wait most would
    /// find nothing.
    pub(crate) fn next_task(&self) -> Option<plan::Task> {
        let mut plan = self.plan.lock();
        loop {
            let before = plan.waiting();
            if plan.stopped() {
                return None;
            }
            if let Some(task) = plan.next_task() {
                let room = before > QUEUE_LOW && plan.waiting() <= QUEUE_LOW;
                drop(plan);
                self.work.notify_one();
                if room {
                    self.status.room();
                }
                return Some(task);
            }
            self.work.wait_for(&mut plan, Duration::from_millis(500));
        }
    }
}

impl Job for SendJob {
    fn receives(&self) -> bool {
        false
    }

    /// Nobody sends files to a sender: what comes is dropped, and its credit goes back.
    fn chunk(&self, _: Chunk) {}

    fn bundle(&self, _: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }

    fn hear(&self, note: &Note<'_>) {
        self.heard(note);
    }

    fn fail(&self, why: &TransportError) {
        self.end_by_receiver(why.code, &why.message);
    }
}

fn abort<'a>(code: Code, text: &'a str) -> Note<'a> {
    Note::Abort {
        code: code.as_str().as_bytes(),
        text: text.as_bytes(),
    }
}

fn job_error(code: Code, text: &str) -> JobError {
    JobError {
        code,
        path: Vec::new(),
        message: text.to_string(),
    }
}

/// Two overlap reading with hashing on the smallest machine; four fill a disk's queue.
fn reader_count() -> usize {
    thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(2, 4)
}
