//! What is known of a job's progress, on either side, and the one thread that reports it.

mod manifest;
mod ticker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::error::Code;
use crate::hash::Hash;
pub use manifest::Manifest;

/// Errors kept whole; further ones are only counted.
pub const MAX_ERRORS: usize = 1000;
/// Hashes kept in memory for the receipt; a manifest file holds them all.
pub const MAX_HASHES: usize = 1000;

/// One thing that went wrong, with the path it concerns (empty: the job as a whole).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobError {
    pub code: Code,
    pub path: Vec<u8>,
    pub message: String,
}

/// Redone files that are named; further ones are only counted.
pub const MAX_REDONE: usize = 1000;

/// Why a file that an earlier run had, whole or in part, is begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redone {
    SourceChanged,
    /// It was finished, and what stands there is not what was finished, or nothing.
    DestinationChanged,
    PartLost,
    /// Something else has the part's name, or the part is shorter than it was.
    PartChanged,
    /// Its record is not sound, or more parts were to be gone on with at once than can be open.
    PartUnusable,
}

impl Redone {
    /// As in receipts.
    pub fn as_str(self) -> &'static str {
        match self {
            Redone::SourceChanged => "source_changed",
            Redone::DestinationChanged => "destination_changed",
            Redone::PartLost => "part_lost",
            Redone::PartChanged => "part_changed",
            Redone::PartUnusable => "part_unusable",
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Done,
    /// Some entries failed.
    Partial,
    /// The job could not go on.
    Failed,
    Aborted,
}

/// Cumulative counters of a job. Bytes are payload of files.
#[derive(Debug, Default)]
pub struct Counters {
    /// Verified at the receiver.
    pub bytes: AtomicU64,
    pub total_bytes: AtomicU64,
    pub files: AtomicU64,
    pub total_files: AtomicU64,
    pub directories: AtomicU64,
    pub symlinks: AtomicU64,
    pub skipped_files: AtomicU64,
    pub skipped_bytes: AtomicU64,
    pub failed: AtomicU64,
    pub chunks_refetched: AtomicU64,
    pub removed_sources: AtomicU64,
    /// Files of which nothing, or not all, had to be sent, as an earlier run had it durable.
    pub resumed_files: AtomicU64,
    /// Bytes of those that were not sent again; part of `bytes`.
    pub resumed_bytes: AtomicU64,
    /// Files that an earlier run had, whole or in part, and whose source, part or destination had changed.
    pub redone_files: AtomicU64,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Reads a counter.
pub fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A file that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHash {
    pub path: Vec<u8>,
    pub size: u64,
    pub hash: Hash,
}

/// What the addon hears.
pub enum Update {
    /// Counters changed; errors since the last call.
    Progress(Vec<JobError>),
    /// The queue of a sender has room again.
    Room,
    /// A receiver has heard of everything that is to come.
    Ending,
    /// The end, with the errors since the last call; nothing follows.
    Ended(State, Vec<JobError>),
}

/// Hears of a job. Dropped when the job has ended.
pub type Listener = Box<dyn Fn(&Status, Update) + Send + Sync>;

/// A job's public face. Shared with the ticker.
pub struct Status {
    pub counters: Counters,
    inner: Mutex<Inner>,
    listener: Mutex<Option<Listener>>,
    manifest: Option<Manifest>,
}

#[derive(Default)]
struct Inner {
    fresh: Vec<JobError>,
    errors: Vec<JobError>,
    hashes: Vec<FileHash>,
    /// Those that the listener has not heard of, and how many there were.
    redone: Vec<(Vec<u8>, Redone)>,
    redone_named: usize,
    ended: Option<State>,
}

impl Status {
    /// A status whose listener is called at most ten times a second, and at once for `Room` and the end.
    pub fn new(manifest: Option<Manifest>, listener: Listener) -> Arc<Status> {
        let status = Arc::new(Status {
            counters: Counters::default(),
            inner: Mutex::default(),
            listener: Mutex::new(Some(listener)),
            manifest,
        });
        ticker::watch(&status);
        status
    }

    /// Notes an error of one entry or of the job.
    pub fn error(&self, error: JobError) {
        let mut inner = self.inner.lock();
        if inner.errors.len() < MAX_ERRORS {
            inner.fresh.push(error.clone());
            inner.errors.push(error);
        }
    }

    /// Notes a file that arrived.
    pub fn file(&self, path: &[u8], size: u64, hash: Hash) {
        add(&self.counters.files, 1);
        if let Some(manifest) = &self.manifest
            && let Err(e) = manifest.line(path, size, &hash)
        {
            let message = format!("the manifest could not be written: {e}");
            self.error(JobError {
                code: Code::IoError,
                path: Vec::new(),
                message,
            });
        }
        let mut inner = self.inner.lock();
        if inner.hashes.len() < MAX_HASHES {
            inner.hashes.push(FileHash {
                path: path.to_vec(),
                size,
                hash,
            });
        }
    }

    /// Notes a file that an earlier run had finished; without its hash no line tells of it.
    pub fn resumed(&self, path: &[u8], size: u64, hash: Option<Hash>) {
        add(&self.counters.resumed_files, 1);
        add(&self.counters.resumed_bytes, size);
        match hash {
            Some(hash) => self.file(path, size, hash),
            None => add(&self.counters.files, 1),
        }
    }

    /// Notes a file that is begun anew.
    pub fn redone(&self, path: &[u8], why: Redone) {
        add(&self.counters.redone_files, 1);
        let mut inner = self.inner.lock();
        if inner.redone_named < MAX_REDONE {
            inner.redone_named += 1;
            inner.redone.push((path.to_vec(), why));
        }
    }

    /// What was redone since the last call.
    pub fn take_redone(&self) -> Vec<(Vec<u8>, Redone)> {
        std::mem::take(&mut self.inner.lock().redone)
    }

    pub fn room(&self) {
        self.tell(Update::Room);
    }

    pub fn ending(&self) {
        self.tell(Update::Ending);
    }

    /// Ends the job once; later calls change nothing. `Done` becomes `Partial` when entries failed.
    pub fn end(&self, state: State) {
        let mut inner = self.inner.lock();
        if inner.ended.is_some() {
            return;
        }
        let failed = get(&self.counters.failed) > 0 || !inner.errors.is_empty();
        let state = if state == State::Done && failed {
            State::Partial
        } else {
            state
        };
        inner.ended = Some(state);
        let fresh = std::mem::take(&mut inner.fresh);
        drop(inner);
        if let Some(manifest) = &self.manifest {
            manifest.finish();
        }
        let listener = self.listener.lock().take();
        if let Some(listener) = listener {
            listener(self, Update::Ended(state, fresh));
        }
    }

    pub fn has_ended(&self) -> bool {
        self.inner.lock().ended.is_some()
    }

    pub fn errors(&self) -> Vec<JobError> {
        self.inner.lock().errors.clone()
    }

    pub fn hashes(&self) -> Vec<FileHash> {
        self.inner.lock().hashes.clone()
    }

    fn tell(&self, update: Update) {
        if let Some(listener) = self.listener.lock().as_ref() {
            listener(self, update);
        }
    }

    /// Called by the ticker.
    fn tick(&self) {
        let mut inner = self.inner.lock();
        if inner.ended.is_some() {
            return;
        }
        let fresh = std::mem::take(&mut inner.fresh);
        drop(inner);
        self.tell(Update::Progress(fresh));
    }
}
