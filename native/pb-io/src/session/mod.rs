//! One end of a session: units in and out, credit, and the jobs they belong to.

mod cpu;
mod host;
mod inbox;
mod job;
mod limiter;
mod memory;
mod outbox;
mod reserve;
pub mod trace;
mod work;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;
use pb_proto::message::note::Note;
use pb_proto::message::{LIST_TRAILER, message_trailer};
use pb_proto::sample::PathSample;
use pb_proto::units::MAX_UNIT;

use crate::buffer::Budget;
use crate::copies::{Copies, Step};
use crate::error::Code;
use crate::transport::{InUnit, LaneId, OutBody, TransportError};
use cpu::CpuWatch;
pub(crate) use cpu::Stage;
use inbox::Inbox;
pub(crate) use inbox::MIN_WINDOW;
pub use job::{AnyJob, Chunk, Job};
pub use memory::join;
use outbox::Outbox;
pub(crate) use outbox::Span;
pub use reserve::LONG_PATH;
use reserve::Reserve;
use trace::Trace;

/// What a session is told at the start.
#[derive(Debug, Clone, Copy)]
pub struct SessionOptions {
    /// Buffers of this side, bytes.
    pub memory: u64,
    /// What this side may send, bytes per second; 0: no limit.
    pub limit: u64,
    /// False: payload of data is clear on the wire, and sendfile may be used.
    pub seal: bool,
}

/// A stream holds chunks that are ahead of the lowest missing one: the sender's spread of 4 and room to go on.
const RECEIVING_WINDOW: u64 = 6 * MAX_UNIT as u64;

/// What is granted ahead at most while a job receives.
fn receiving_window(memory: u64) -> u64 {
    (memory * 7 / 8).max(RECEIVING_WINDOW)
}

/// What is granted ahead when one begins to.
pub(crate) fn first_window(memory: u64) -> u64 {
    receiving_window(memory).min(inbox::START_WINDOW)
}

/// Receiving jobs that wait for their senders; an honest peer has a few.
const MAX_ACCEPTED: usize = 1024;

/// One end of a session. Shared by lanes, readers, writers and the addon's handles.
pub struct Session {
    pub(crate) outbox: Outbox,
    pub(crate) inbox: Inbox,
    /// Buffers of units to be sent.
    pub(crate) send_budget: Budget,
    message_budget: Budget,
    options: SessionOptions,
    /// Arrived units on their way to the writers; `None` once closed.
    arrived: Mutex<Option<Sender<Arc<InUnit>>>>,
    jobs: Mutex<HashMap<u32, AnyJob>>,
    /// Receivers that were ready before the sending job was there. Locked after `jobs`.
    accepted: Mutex<HashMap<u32, Accepts>>,
    lanes: Mutex<Lanes>,
    reserve: Reserve,
    /// Data leaves over TCP in clear: chunks are sent by sendfile.
    zero_copy: AtomicBool,
    on_close: Mutex<Option<OnClose>>,
    trace: OnceLock<Trace>,
    pub(crate) copies: Copies,
    pub(crate) cpu: CpuWatch,
}

/// Hears why a session ended; `None`: it was closed.
pub type OnClose = Box<dyn FnOnce(Option<TransportError>) + Send>;

/// A receiver's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// Entries may be pushed unasked.
    pub push: bool,
    /// Holes must be sent.
    pub dense: bool,
}

#[derive(Default)]
struct Lanes {
    up: Vec<LaneId>,
    /// The newest of each lane that ever was.
    samples: HashMap<LaneId, PathSample>,
    ever_up: bool,
    /// The session is over, for this reason unless it was asked for.
    ended: Option<Option<TransportError>>,
}

impl Session {
    /// A session without lanes; they join through `LaneHost`.
    pub fn new(options: SessionOptions) -> std::io::Result<Arc<Session>> {
        let (arrived, work) = unbounded();
        let session = Arc::new(Session {
            outbox: Outbox::new(options.limit),
            inbox: Inbox::new(options.memory / 8),
            send_budget: Budget::new(options.memory as usize),
            message_budget: Budget::new(usize::MAX / 2),
            options,
            arrived: Mutex::new(Some(arrived)),
            jobs: Mutex::new(HashMap::new()),
            accepted: Mutex::new(HashMap::new()),
            lanes: Mutex::new(Lanes::default()),
            reserve: Reserve::default(),
            zero_copy: AtomicBool::new(false),
            on_close: Mutex::new(None),
            trace: OnceLock::new(),
            copies: Copies::default(),
            cpu: CpuWatch::default(),
        });
        work::spawn_writers(&session, &work)?;
        Ok(session)
    }

    /// Lanes share the work from the start on any path. Idempotent.
    pub fn use_all_lanes(&self) {
        self.reserve.call();
    }

    /// Keeps from now on what the lanes go through; to be called before any joins. Idempotent.
    pub fn start_trace(&self) {
        self.trace.get_or_init(Trace::default);
    }

    pub fn trace(&self) -> Option<&Trace> {
        self.trace.get()
    }

    /// What was copied since the last call.
    pub fn take_copies(&self) -> Vec<(Step, u64)> {
        self.copies.take()
    }

    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    pub(crate) fn zero_copy(&self) -> bool {
        self.zero_copy.load(Ordering::Acquire)
    }

    /// Called once when the session is over; at once if it already is.
    pub fn on_close(&self, call: OnClose) {
        let mut slot = self.on_close.lock();
        let ended = self.lanes.lock().ended.clone();
        match ended {
            Some(why) => {
                drop(slot);
                call(why)
            }
            None => *slot = Some(call),
        }
    }

    /// The newest sample of each lane, by lane.
    pub fn samples(&self) -> Vec<PathSample> {
        let mut all: Vec<PathSample> = self.lanes.lock().samples.values().copied().collect();
        all.sort_by_key(|s| s.lane);
        all
    }

    /// For a job that receives: see [`Inbox::hold`].
    pub(crate) fn hold(&self, window: u64) {
        self.inbox.hold(window);
        self.outbox.wake_one();
    }

    /// Bytes of buffers of this side.
    pub(crate) fn memory(&self) -> u64 {
        self.options.memory
    }

    pub(crate) fn add_job(&self, number: u32, job: AnyJob) -> Result<(), TransportError> {
        let mut jobs = self.jobs.lock();
        // Looked at under the lock: `end` takes the jobs after it has set this.
        if let Some(why) = self.lanes.lock().ended.clone() {
            return Err(why.unwrap_or_else(|| error(Code::Aborted, "the session is closed")));
        }
        if job.receives() {
            self.inbox.widen(receiving_window(self.options.memory));
            self.outbox.wake_one();
        }
        if jobs.contains_key(&number) {
            return Err(error(
                Code::InvalidArgument,
                "a job of that number is there already",
            ));
        }
        jobs.insert(number, Arc::clone(&job));
        let accepted = self.accepted.lock().remove(&number);
        drop(jobs);
        if let Some(Accepts { push, dense }) = accepted.filter(|_| !job.receives()) {
            job.hear(&Note::Accept { push, dense });
        }
        Ok(())
    }

    /// A receiver is ready and waits for a sending job; it is told when the job comes.
    pub fn accepted(&self, number: u32, accepts: Accepts) {
        let jobs = self.jobs.lock();
        if let Some(job) = jobs.get(&number).cloned() {
            drop(jobs);
            let Accepts { push, dense } = accepts;
            return job.hear(&Note::Accept { push, dense });
        }
        let mut accepted = self.accepted.lock();
        if accepted.len() < MAX_ACCEPTED {
            accepted.insert(number, accepts);
        }
    }

    pub(crate) fn job(&self, number: u32) -> Option<AnyJob> {
        self.jobs.lock().get(&number).cloned()
    }

    /// Units of a job that is not there any more are dropped.
    pub(crate) fn remove_job(&self, number: u32) {
        self.jobs.lock().remove(&number);
    }

    /// Sends notes of a job to the peer.
    pub(crate) fn send_notes(&self, job: u32, notes: &[Note<'_>]) {
        let mut bytes = Vec::new();
        for note in notes {
            note.encode(&mut bytes);
            if bytes.len() > 256 << 10 {
                self.send_message(job, &mut bytes);
            }
        }
        if !bytes.is_empty() {
            self.send_message(job, &mut bytes);
        }
    }

    fn send_message(&self, job: u32, notes: &mut Vec<u8>) {
        let len = notes.len() + LIST_TRAILER;
        if let Some(mut buffer) = self.message_budget.try_take(len) {
            buffer.as_mut_slice()[..notes.len()].copy_from_slice(notes);
            buffer.as_mut_slice()[notes.len()..].copy_from_slice(&message_trailer(job));
            self.outbox
                .push_message(len as u32, OutBody::Memory(buffer));
        }
        notes.clear();
    }

    /// A unit of `len` bytes was processed and its memory is free.
    pub(crate) fn release(&self, len: u32) {
        if self.inbox.release(len) {
            self.outbox.wake_one();
        }
    }

    /// Ends the session; idempotent. Jobs that run fail with `why`, or as aborted.
    pub fn end(&self, why: Option<TransportError>) {
        {
            let mut lanes = self.lanes.lock();
            if lanes.ended.is_some() {
                return;
            }
            lanes.ended = Some(why.clone());
        }
        let jobs: Vec<AnyJob> = self.jobs.lock().drain().map(|(_, job)| job).collect();
        let reason = why
            .clone()
            .unwrap_or_else(|| error(Code::Aborted, "the session was closed"));
        jobs.iter().for_each(|job| job.fail(&reason));
        self.outbox.close();
        // The handle in JavaScript may live on for long.
        self.inbox.close();
        self.send_budget.close();
        self.message_budget.close();
        self.arrived.lock().take();
        let call = self.on_close.lock().take();
        if let Some(call) = call {
            call(why);
        }
    }

    /// True while a job runs.
    pub fn is_busy(&self) -> bool {
        !self.jobs.lock().is_empty()
    }

    /// No job runs, and the peer has everything that was sent: nobody misses anything when it ends now.
    pub fn is_settled(&self) -> bool {
        !self.is_busy() && self.outbox.is_settled()
    }

    /// True when it is over.
    pub fn has_ended(&self) -> bool {
        self.lanes.lock().ended.is_some()
    }
}

pub(crate) fn error(code: Code, message: &str) -> TransportError {
    TransportError {
        code,
        message: message.to_string(),
    }
}
