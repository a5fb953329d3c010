//! What a later run is to know of files that a carrier writes: what its end says is durable, with what it goes on by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pb_proto::message::item::SourceToken;
use pb_proto::message::note::Outcome;

use super::super::checkpoint::{CheckpointOptions, Finished, Ledger, PartRecord, Past, pack_run};
use super::super::file::{Known, LargeFile};
use super::super::{Meta, Unfinished};
use super::PumpedRecv;
use crate::hash::Hash;
use crate::job::State;
use crate::pump::{Ask, Memory, PumpError, Reply, Waiting};
use crate::source::{FileKey, file_key};

/// See the module.
pub(super) struct Keeping {
    pub past: Past,
    pub ledger: Ledger,
    /// The job was given up: unfinished files go.
    remove: AtomicBool,
    ended: Mutex<Option<Ended>>,
}

struct Ended {
    state: State,
    left: Vec<Arc<LargeFile>>,
    at: Instant,
}

/// Between two flushes passes so much more time than one takes: making durable may cost an end without an engine the round trips of a new
/// upload (FTP), and more than a tenth of the time is not given for that.
const REST: u32 = 9;
/// At the end of a job an end that does not answer is not waited for longer,
const LAST_FLUSH: Duration = Duration::from_secs(5);
/// nor a caller that can't record.
const LAST_RECORD: Duration = Duration::from_secs(2);

impl Keeping {
    pub fn new(options: CheckpointOptions) -> Keeping {
        Keeping {
            past: Past::new(options.parts, options.done),
            ledger: Ledger::new(options.flush_bytes, options.flush, options.on_batch),
            remove: AtomicBool::new(false),
            ended: Mutex::default(),
        }
    }

    /// The job is over but for what is left of it, which its thread sees to.
    pub fn end(&self, state: State, left: Vec<Arc<LargeFile>>) {
        let at = Instant::now();
        *self.ended.lock() = Some(Ended { state, left, at });
        self.ledger.close();
    }

    fn is_late(&self) -> bool {
        let ended = self.ended.lock();
        ended.as_ref().is_some_and(|e| e.at.elapsed() > LAST_FLUSH)
    }
}

/// Starts the thread that asks for what is durable, and that ends the job.
pub(super) fn spawn(job: &Arc<PumpedRecv>) -> std::io::Result<()> {
    if job.keeping.is_some() {
        let job = Arc::clone(job);
        thread::Builder::new()
            .name("pb-checkpoint".into())
            .spawn(move || run(&job))?;
    }
    Ok(())
}

fn run(job: &PumpedRecv) {
    let Some(keeping) = &job.keeping else {
        return;
    };
    while let Some(files) = keeping.ledger.next_flush() {
        let begun = Instant::now();
        job.flush(keeping, files);
        keeping.ledger.flush_ended();
        keeping.ledger.rest(begun.elapsed() * REST);
    }
    job.end_keeping(keeping);
}

impl PumpedRecv {
    /// The caller's records hold this batch and those before it.
    pub fn confirm(&self, number: u32) {
        let Some(keeping) = &self.keeping else {
            return;
        };
        for file in keeping.ledger.confirm(number) {
            self.arrived(file);
        }
    }

    /// The key of a file that is recorded when it is finished.
    pub(super) fn key(&self, meta: &Meta, token: &SourceToken) -> Option<FileKey> {
        self.keeping.as_ref()?;
        file_key(&meta.path, token)
    }

    /// A large file begins that a later run may go on with.
    pub(super) fn known(&self, meta: &Meta, size: u64, token: &SourceToken) -> Option<Known> {
        let (keeping, key) = (self.keeping.as_ref()?, self.key(meta, token)?);
        let first = keeping.ledger.begin(key, meta.id);
        first.then_some(Known { key, size })
    }

    /// What a killed process would leave of a file has no name that tells whose it is: it is recorded at once.
    pub(super) fn named(&self, file: &LargeFile, state: Vec<u8>) {
        if let (Some(keeping), Some(known)) = (&self.keeping, file.known)
            && !state.is_empty()
        {
            keeping
                .ledger
                .named(file.meta.id, part_of(file, known, state));
        }
    }

    /// A verified chunk is written.
    pub(super) fn to_record(
        &self,
        file: &Arc<LargeFile>,
        offset: u64,
        (len, value): (usize, Hash),
    ) {
        if let Some(keeping) = &self.keeping
            && file.to_flush(offset, len, value)
        {
            keeping.ledger.wrote(file, len as u64);
        }
    }

    /// A file is there under its own name: said to the sender when that is recorded.
    pub(super) fn finished(&self, meta: &Meta, key: Option<FileKey>, (size, hash): (u64, Hash)) {
        let file = Finished {
            id: meta.id,
            path: meta.path.clone(),
            size,
            hash,
        };
        match (&self.keeping, key) {
            (Some(keeping), Some(key)) => keeping.ledger.finished(vec![(key, file)]),
            _ => self.arrived(file),
        }
    }

    fn arrived(&self, file: Finished) {
        let hash = file.hash;
        self.status.file(&file.path, file.size, hash);
        self.resolve(file.id, Outcome::Done { hash });
    }

    pub(super) fn abandon(&self, unfinished: Unfinished) {
        let Some(keeping) = &self.keeping else {
            return;
        };
        if self.stopped() {
            return keeping.ledger.give_up();
        }
        let remove = unfinished == Unfinished::Remove;
        keeping.remove.store(remove, Ordering::Release);
    }

    /// Asks for the state of files at once, and records what is durable by it.
    fn flush(&self, keeping: &Keeping, files: Vec<Arc<LargeFile>>) {
        let asked: Vec<_> = files
            .into_iter()
            .filter_map(|file| self.ask_state(file))
            .collect();
        for (flush, waiting) in asked {
            match waiting.wait(&|| keeping.is_late()).1 {
                Ok(Reply::State(state)) if !state.is_empty() => flush.record(keeping, state),
                // What can't be gone on with is not recorded.
                Ok(_) => {}
                Err(e) => self.not_flushed(&flush, &e),
            }
        }
    }

    fn ask_state(&self, file: Arc<LargeFile>) -> Option<(Flush, Waiting)> {
        let known = file.known?;
        let chunks = file.take_unflushed();
        if chunks.is_empty() {
            return None;
        }
        let id = file.meta.id;
        let waiting = self.pump.begin(Ask::State { id }, Memory::None);
        let flush = Flush {
            file,
            known,
            chunks,
        };
        Some((flush, waiting))
    }

    fn not_flushed(&self, flush: &Flush, e: &PumpError) {
        if !self.stopped() {
            self.drop_large(&flush.file, e.code, &e.message);
        }
    }

    /// The last flush and the last record of a job that is over.
    fn end_keeping(&self, keeping: &Keeping) {
        let (state, left) = match &mut *keeping.ended.lock() {
            Some(ended) => (ended.state, std::mem::take(&mut ended.left)),
            None => (State::Failed, Vec::new()),
        };
        let keeps = !keeping.remove.load(Ordering::Acquire);
        if keeps {
            self.flush(keeping, left.clone());
            keeping.ledger.flush_ended();
        }
        keeping.ledger.wait_confirmed(LAST_RECORD);
        let kept = left
            .iter()
            .filter(|f| keeps && f.known.is_some_and(|k| keeping.ledger.is_kept(&k.key)));
        let leaving: Vec<Waiting> = kept
            .map(|f| self.pump.begin(Ask::Leave { id: f.meta.id }, Memory::None))
            .collect();
        for each in leaving {
            // One that could not be left in time is removed; its record then finds nothing.
            drop(each.wait(&|| keeping.is_late()));
        }
        for file in left {
            file.leave();
        }
        // What was not left goes with the carrier.
        self.ended(state);
    }
}

/// Chunks whose durability was asked for.
struct Flush {
    file: Arc<LargeFile>,
    known: Known,
    chunks: Vec<(u64, Hash)>,
}

impl Flush {
    fn record(mut self, keeping: &Keeping, state: Vec<u8>) {
        let mut part = part_of(&self.file, self.known, state);
        pack_run(&mut part.chunks, &mut self.chunks);
        keeping.ledger.flushed(self.file.meta.id, part);
    }
}

/// A record without chunks. What tells one upload from another is the state alone.
fn part_of(file: &LargeFile, known: Known, state: Vec<u8>) -> PartRecord {
    PartRecord {
        key: known.key,
        target: file.meta.path.clone(),
        size: known.size,
        chunk_bytes: file.chunk_bytes,
        temporary: state,
        device: 0,
        inode: 0,
        birth_ns: 0,
        chunks: Vec::new(),
    }
}
