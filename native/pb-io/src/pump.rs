//! Calls to whoever carries the bytes of an end without descriptors (`docs/design/0008-endpoints.md`): a web server's, a bucket's.
//!
//! A call has a number and perhaps memory of the engine. The carrier is told of it on any thread, must not block, and answers later
//! on a thread of its own, after it has copied into the memory or out of it. Memory is reached by the number only while
//! the call is open, so a carrier that comes too late, or lies, touches nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::buffer::Buffer;
use crate::error::Code;
use crate::fs::Kind;
use crate::session::Chunk;

/// A file, folder or link that a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Of the job's entry: calls about one file have one.
    pub id: u32,
    /// Below the endpoint's root (a source), or below the job's base (a sink).
    pub path: Vec<u8>,
    pub kind: Kind,
    pub size: u64,
    pub mtime_ns: i64,
    pub mode: u32,
    /// What else tells this version from others; 0: nothing.
    pub version: u64,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Of a source: open a large file. Answered with [`Reply::Version`].
    Open(Subject),
    /// Fill the memory from this offset.
    Read { id: u32, offset: u64 },
    /// No more is read: is it still what was opened?
    Finish { id: u32 },
    /// Nothing more is wanted of it.
    Close { id: u32 },
    /// Fill the memory with a small file. Answered with [`Reply::Version`].
    Whole(Subject),
    /// It is durable elsewhere: remove it, if it still is this.
    Remove(Subject),
    /// Of a sink: is this file wanted, given what is there? Answered with [`Reply::Wanted`].
    Offer(Subject),
    /// Make a folder.
    Folder(Subject),
    /// Make a link to the text that is the memory.
    Link(Subject),
    /// Begin a large file; a stream's size is `UNKNOWN_SIZE`, and told by `Commit`.
    Create(Subject),
    /// Write the memory at this offset.
    Write { id: u32, offset: u64 },
    /// All of it is written, and has this size. The memory is its root hash.
    Commit { id: u32, size: u64 },
    /// It will not be whole.
    Discard { id: u32 },
    /// A small file whole: the memory.
    Put(Subject),
    /// Every entry is there: what is left to do, such as the times of folders.
    End,
    /// An earlier run finished this file: is it still there as it was left? Answered with [`Reply::Wanted`].
    Known(Subject),
    /// Go on with what an earlier run wrote of a file; the memory is its state, and of an end that writes in order the first `reach`
    /// bytes are there. Answered with [`Reply::Has`].
    Resume(Subject, u64),
    /// Make durable what is written of a file. Answered with [`Reply::State`].
    State { id: u32 },
    /// It is not whole, and a later run goes on with it.
    Leave { id: u32 },
    /// Remove what an earlier run wrote of a file; the memory is its state. Not answered.
    Forget(Subject),
}

/// A good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Done,
    /// What was opened or read. `parallel`: may it be read at several offsets at once?
    Version {
        size: u64,
        mtime_ns: i64,
        version: u64,
        parallel: bool,
    },
    Wanted(bool),
    /// What a later run goes on by; empty: it can't. In answer to [`Ask::Create`]: what names what a killed process would leave.
    State(Vec<u8>),
    /// Ranges of bytes that the end has, from and up to.
    Has(Vec<(u64, u64)>),
}

/// A bad one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PumpError {
    pub code: Code,
    pub message: String,
}

pub type Answer = Result<Reply, PumpError>;

/// What the memory of a call is.
pub enum Memory {
    None,
    /// To fill, or to take from: as much of the buffer as is the file's.
    Buffer(Buffer, usize),
    Bytes(Vec<u8>),
    Chunk(Chunk),
}

impl Memory {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Memory::None => &[],
            Memory::Buffer(buffer, len) => &buffer.as_slice()[..*len],
            Memory::Bytes(bytes) => bytes,
            Memory::Chunk(chunk) => chunk.bytes(),
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Memory::Buffer(buffer, len) => &mut buffer.as_mut_slice()[..*len],
            Memory::Bytes(bytes) => bytes,
            // What has arrived is verified: nobody writes to it.
            Memory::None | Memory::Chunk(_) => &mut [],
        }
    }
}

/// Hears the answer, with the memory back.
type Then = Box<dyn FnOnce(Memory, Answer) + Send>;
/// Tells the carrier of a call: number, what, and how long the memory is.
pub type Tell = Box<dyn Fn(u32, Ask, usize) + Send + Sync>;

struct Open {
    memory: Arc<Mutex<Memory>>,
    then: Then,
}

#[derive(Default)]
struct Calls {
    next: u32,
    open: HashMap<u32, Open>,
    closed: bool,
}

/// The calls of one job.
pub struct Pump {
    tell: Tell,
    calls: Mutex<Calls>,
}

/// How often one that waits for an answer looks whether its job still runs.
const LOOK: Duration = Duration::from_millis(50);

impl Pump {
    pub fn new(tell: Tell) -> Arc<Pump> {
        Arc::new(Pump {
            tell,
            calls: Mutex::default(),
        })
    }

    /// Asks; `then` runs where the answer comes, or here when there will be none.
    pub fn ask(&self, ask: Ask, memory: Memory, then: Then) {
        let len = memory.bytes().len();
        let memory = Arc::new(Mutex::new(memory));
        let mut calls = self.calls.lock();
        if calls.closed {
            drop(calls);
            let memory = std::mem::replace(&mut *memory.lock(), Memory::None);
            return then(memory, Err(ended()));
        }
        let number = calls.next;
        calls.next = number.wrapping_add(1);
        calls.open.insert(number, Open { memory, then });
        drop(calls);
        (self.tell)(number, ask, len);
    }

    /// Asks without anything to hear.
    pub fn tell(&self, ask: Ask) {
        self.ask(ask, Memory::None, Box::new(|_, _| {}));
    }

    /// Asks, to be waited for.
    pub fn begin(&self, ask: Ask, memory: Memory) -> Waiting {
        let (answered, answer) = crossbeam_channel::bounded(1);
        let then = move |memory, reply| _ = answered.send((memory, reply));
        self.ask(ask, memory, Box::new(then));
        Waiting(answer)
    }

    /// Asks and waits, until `stop`.
    pub fn call(&self, ask: Ask, memory: Memory, stop: &dyn Fn() -> bool) -> (Memory, Answer) {
        self.begin(ask, memory).wait(stop)
    }

    /// The carrier's answer; one to a call that is not open changes nothing.
    pub fn answer(&self, number: u32, answer: Answer) {
        let open = self.calls.lock().open.remove(&number);
        if let Some(Open { memory, then }) = open {
            let memory = std::mem::replace(&mut *memory.lock(), Memory::None);
            then(memory, answer);
        }
    }

    /// Copies into the memory of a call: false when it has not exactly that length, or the call is not open.
    pub fn fill(&self, number: u32, from: &[u8]) -> bool {
        let Some(memory) = self.memory(number) else {
            return false;
        };
        let mut memory = memory.lock();
        let to = memory.bytes_mut();
        let fits = to.len() == from.len();
        if fits {
            to.copy_from_slice(from);
        }
        fits
    }

    /// Copies out of it.
    pub fn take(&self, number: u32, to: &mut [u8]) -> bool {
        let Some(memory) = self.memory(number) else {
            return false;
        };
        let memory = memory.lock();
        let from = memory.bytes();
        let fits = to.len() == from.len();
        if fits {
            to.copy_from_slice(from);
        }
        fits
    }

    /// Hands out the memory of a call that is to be filled, for as long as that takes: whoever asks for the call's meanwhile finds none. `None` when the
    /// call is over, or there is nothing to fill.
    pub fn lend(&self, number: u32) -> Option<Memory> {
        let memory = self.memory(number)?;
        let mut memory = memory.lock();
        let fillable = matches!(*memory, Memory::Buffer(..) | Memory::Bytes(_));
        fillable.then(|| std::mem::replace(&mut *memory, Memory::None))
    }

    /// As [`lend`](Self::lend), of a call that is to be written: it is read and comes back as it was.
    pub fn lend_content(&self, number: u32) -> Option<Memory> {
        let memory = self.memory(number)?;
        let mut memory = memory.lock();
        let there = !matches!(*memory, Memory::None);
        there.then(|| std::mem::replace(&mut *memory, Memory::None))
    }

    /// Brings it back; to a call that is over meanwhile it goes no more.
    pub fn give_back(&self, number: u32, lent: Memory) {
        if let Some(memory) = self.memory(number) {
            *memory.lock() = lent;
        }
    }

    /// What is to be written waits for longer than the credit that came with it may: a copy takes its place, and the credit goes now.
    pub fn keep_copy(&self, number: u32) {
        if let Some(memory) = self.memory(number) {
            let mut memory = memory.lock();
            if matches!(*memory, Memory::Chunk(_)) {
                *memory = Memory::Bytes(memory.bytes().to_vec());
            }
        }
    }

    fn memory(&self, number: u32) -> Option<Arc<Mutex<Memory>>> {
        let calls = self.calls.lock();
        calls.open.get(&number).map(|open| Arc::clone(&open.memory))
    }

    /// Nothing is asked any more; what is open is answered now.
    pub fn close(&self) {
        let open = {
            let mut calls = self.calls.lock();
            calls.closed = true;
            std::mem::take(&mut calls.open)
        };
        for (_, Open { memory, then }) in open {
            let memory = std::mem::replace(&mut *memory.lock(), Memory::None);
            then(memory, Err(ended()));
        }
    }
}

/// A call whose answer is waited for.
pub struct Waiting(crossbeam_channel::Receiver<(Memory, Answer)>);

impl Waiting {
    /// The answer; after `stop` the memory stays with the call.
    pub fn wait(self, stop: &dyn Fn() -> bool) -> (Memory, Answer) {
        loop {
            match self.0.recv_timeout(LOOK) {
                Ok(answered) => return answered,
                Err(crossbeam_channel::RecvTimeoutError::Timeout) if !stop() => {}
                Err(_) => return (Memory::None, Err(ended())),
            }
        }
    }
}

fn ended() -> PumpError {
    PumpError {
        code: Code::Aborted,
        message: "the job is over".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pump() -> (Arc<Pump>, crossbeam_channel::Receiver<(u32, Ask, usize)>) {
        let (told, hears) = crossbeam_channel::unbounded();
        let tell = move |number, ask, len| _ = told.send((number, ask, len));
        (Pump::new(Box::new(tell)), hears)
    }

    const READ: Ask = Ask::Read { id: 1, offset: 0 };

    #[test]
    fn memory_is_reached_while_the_call_is_open_and_never_after() {
        let (pump, hears) = pump();
        let waiting = pump.begin(READ, Memory::Bytes(vec![0; 3]));
        let (number, ask, len) = hears.recv().unwrap();
        assert_eq!((ask, len), (READ, 3));
        assert!(!pump.fill(number, b"four") && !pump.fill(number + 1, b"abc"));
        assert!(pump.fill(number, b"abc"));
        pump.answer(number, Ok(Reply::Done));
        let (Memory::Bytes(bytes), Ok(Reply::Done)) = waiting.wait(&|| false) else {
            panic!("another answer");
        };
        assert_eq!(bytes, b"abc");
        assert!(!pump.fill(number, b"xyz") && !pump.take(number, &mut [0; 3]));
        // Answered twice: nothing happens.
        pump.answer(number, Ok(Reply::Done));
    }

    #[test]
    fn memory_is_lent_to_one_at_a_time_and_comes_back_while_the_call_is_open() {
        let (pump, hears) = pump();
        let waiting = pump.begin(READ, Memory::Bytes(vec![0; 3]));
        let (number, ..) = hears.recv().unwrap();
        let mut lent = pump.lend(number).unwrap();
        assert!(pump.lend(number).is_none() && !pump.fill(number, b"abc"));
        lent.bytes_mut().copy_from_slice(b"abc");
        pump.give_back(number, lent);
        let again = pump.lend(number).unwrap();
        pump.answer(number, Ok(Reply::Done));
        // Too late: whoever waited has none, and the call takes none.
        let (Memory::None, Ok(Reply::Done)) = waiting.wait(&|| false) else {
            panic!("another answer");
        };
        pump.give_back(number, again);
        assert!(pump.lend(number).is_none());
        let chunk = pump.begin(Ask::Write { id: 1, offset: 0 }, Memory::None);
        assert!(pump.lend(hears.recv().unwrap().0).is_none());
        drop(chunk);
    }

    #[test]
    fn what_is_to_be_written_can_only_be_read() {
        let (pump, hears) = pump();
        let write = Ask::Write { id: 1, offset: 0 };
        let _waiting = pump.begin(write, Memory::Bytes(b"abc".to_vec()));
        let (number, ..) = hears.recv().unwrap();
        let mut out = [0; 3];
        assert!(pump.take(number, &mut out) && &out == b"abc");
        assert!(!pump.take(number, &mut [0; 2]));
    }

    #[test]
    fn content_is_lent_to_one_and_comes_back_as_it_was() {
        let (pump, hears) = pump();
        let memory = Memory::Bytes(b"abc".to_vec());
        let waiting = pump.begin(Ask::Write { id: 1, offset: 0 }, memory);
        let (number, ..) = hears.recv().unwrap();
        pump.keep_copy(number);
        let lent = pump.lend_content(number).unwrap();
        let mut out = [0; 3];
        // Lent, it is nobody else's.
        assert!(pump.lend_content(number).is_none() && !pump.take(number, &mut out));
        pump.give_back(number, lent);
        assert!(pump.take(number, &mut out) && &out == b"abc");
        drop(waiting);
    }

    #[test]
    fn a_close_answers_what_is_open_and_all_that_comes() {
        let (pump, _hears) = pump();
        let before = pump.begin(READ, Memory::None);
        pump.close();
        let after = pump.begin(READ, Memory::None);
        for waiting in [before, after] {
            let (_, answer) = waiting.wait(&|| false);
            assert_eq!(answer.unwrap_err().code, Code::Aborted);
        }
    }

    #[test]
    fn who_waits_hears_that_the_job_stops() {
        let (pump, _hears) = pump();
        let (_, answer) = pump.call(READ, Memory::None, &|| true);
        assert_eq!(answer.unwrap_err().code, Code::Aborted);
    }
}
