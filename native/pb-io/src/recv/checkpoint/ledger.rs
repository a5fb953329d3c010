//! What became durable and is not recorded yet: gathered while the caller records the batch before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Batch, PartRecord};
use crate::hash::Hash;
use crate::recv::file::LargeFile;
use crate::source::FileKey;

/// See the module.
pub(crate) struct Ledger {
    book: Mutex<Book>,
    changed: Condvar,
    on_batch: Box<dyn Fn(Batch) + Send + Sync>,
    flush_bytes: u64,
    flush: Duration,
}

/// A file under its final name, whose result waits for its record.
pub(crate) struct Finished {
    pub id: u32,
    pub path: Vec<u8>,
    pub size: u64,
    pub hash: Hash,
}

/// Written bytes on one stage of their way to a record.
#[derive(Default)]
struct Backlog {
    bytes: u64,
    since: Option<Instant>,
}

struct Flight {
    number: u32,
    finished: Vec<Finished>,
    backlog: Backlog,
    /// Parts that the caller's records will hold with it, and did not before.
    begun: HashSet<FileKey>,
}

#[derive(Default)]
struct Book {
    /// Number of the newest batch.
    last: u32,
    /// The large files that are open: key and id.
    live: HashMap<FileKey, u32>,
    /// Keys that the caller's records hold as parts, those of the batch on its way too.
    recorded: HashSet<FileKey>,
    /// Files with chunks that no flush has seen.
    dirty: HashMap<u32, Arc<LargeFile>>,
    written: Backlog,
    flushing: Backlog,
    flushed: Backlog,
    parts: HashMap<FileKey, PartRecord>,
    done: Vec<u8>,
    gone: Vec<u8>,
    finished: Vec<Finished>,
    flight: Option<Flight>,
    closing: bool,
    given_up: bool,
}

/// Finished files whose record may be outstanding: further ones hold up the committer, and so the writers.
const MAX_FINISHED: usize = 16_384;

impl Ledger {
    pub fn new(
        flush_bytes: u64,
        flush: Duration,
        on_batch: Box<dyn Fn(Batch) + Send + Sync>,
    ) -> Ledger {
        Ledger {
            book: Mutex::default(),
            changed: Condvar::new(),
            on_batch,
            flush_bytes,
            flush,
        }
    }

    /// A large file begins; false when one of that key is open.
    pub fn begin(&self, key: FileKey, id: u32) -> bool {
        let mut book = self.book.lock();
        *book.live.entry(key).or_insert(id) == id
    }

    /// A part that the caller's records hold already.
    pub fn adopt(&self, key: FileKey) {
        self.book.lock().recorded.insert(key);
    }

    /// The caller's record of this part of an earlier run is to be dropped.
    pub fn forget(&self, key: &FileKey) {
        let mut book = self.book.lock();
        book.recorded.insert(*key);
        book.is_over(key);
        self.give(book);
    }

    /// A chunk of a large file is written.
    pub fn wrote(&self, file: &Arc<LargeFile>, bytes: u64) {
        let mut book = self.book.lock();
        book.dirty
            .entry(file.meta.id)
            .or_insert_with(|| Arc::clone(file));
        let first = book.written.since.is_none();
        book.written.add(bytes);
        if first || book.written.bytes >= self.flush_bytes {
            self.changed.notify_all();
        }
    }

    /// Must whoever writes wait? When more is unrecorded than may be lost, and for longer.
    pub fn is_behind(&self) -> bool {
        let book = self.book.lock();
        let stages = [&book.written, &book.flushing, &book.flushed];
        let flight = book.flight.as_ref().map(|f| &f.backlog);
        let stages = || stages.into_iter().chain(flight);
        let bytes: u64 = stages().map(|s| s.bytes).sum();
        let since = stages().filter_map(|s| s.since).min();
        bytes > self.flush_bytes && since.is_some_and(|s| s.elapsed() > self.flush)
    }

    /// Waits until there is something to flush; `None` when the job is over.
    pub fn next_flush(&self) -> Option<Vec<Arc<LargeFile>>> {
        let mut book = self.book.lock();
        loop {
            if book.closing {
                return None;
            }
            // Half, so that what is written during flush and record stays within the bound.
            let due = book.written.since.map(|s| s + self.flush / 2);
            match due {
                None => self.changed.wait(&mut book),
                Some(at) if book.written.bytes >= self.flush_bytes || at <= Instant::now() => {
                    return Some(book.take_dirty());
                }
                Some(at) => _ = self.changed.wait_until(&mut book, at),
            }
        }
    }

    /// Waits for so long, or until the job is over.
    pub fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut book = self.book.lock();
        while !book.closing && !self.changed.wait_until(&mut book, until).timed_out() {}
    }

    /// A part is there of which nothing is durable: it is to be found by whoever cleans up.
    pub fn named(&self, id: u32, part: PartRecord) {
        let mut book = self.book.lock();
        if book.live.get(&part.key) == Some(&id) {
            book.parts.entry(part.key).or_insert(part);
            self.give(book);
        }
    }

    /// No more flushes.
    pub fn close(&self) {
        self.book.lock().closing = true;
        self.changed.notify_all();
    }

    /// Chunks of a part are durable. Dropped when the file is over meanwhile.
    pub fn flushed(&self, id: u32, mut part: PartRecord) {
        let mut book = self.book.lock();
        if book.live.get(&part.key) != Some(&id) {
            return;
        }
        match book.parts.get_mut(&part.key) {
            Some(there) => there.chunks.append(&mut part.chunks),
            None => _ = book.parts.insert(part.key, part),
        }
    }

    /// All files of a flush are durable.
    pub fn flush_ended(&self) {
        let mut book = self.book.lock();
        let through = std::mem::take(&mut book.flushing);
        book.flushed.join(through);
        self.give(book);
    }

    /// The part is no more, for another reason than that its file is finished.
    pub fn discarded(&self, key: &FileKey) {
        let mut book = self.book.lock();
        book.is_over(key);
        self.give(book);
    }

    /// Do the caller's records hold the part for certain? Then it is worth keeping; else nobody would find it again.
    pub fn is_kept(&self, key: &FileKey) -> bool {
        let book = self.book.lock();
        let unsure = book.flight.as_ref().is_some_and(|f| f.begun.contains(key));
        book.recorded.contains(key) && !unsure
    }

    /// Does the caller's record, or a batch on its way, hold the part?
    pub fn is_recorded(&self, key: &FileKey) -> bool {
        let book = self.book.lock();
        book.recorded.contains(key) || book.parts.contains_key(key)
    }

    /// Files are durable under their final names.
    pub fn finished(&self, files: Vec<(FileKey, Finished)>) {
        let mut book = self.book.lock();
        for (key, file) in files {
            book.is_over(&key);
            book.done.extend_from_slice(&key);
            book.done.extend_from_slice(&file.size.to_be_bytes());
            book.done.extend_from_slice(&file.hash);
            book.finished.push(file);
        }
        self.give(book);
    }

    /// Waits while more finished files are unrecorded than memory is meant for, until `stop`.
    pub fn wait_for_room(&self, stop: &dyn Fn() -> bool) {
        const LOOK: Duration = Duration::from_millis(50);
        let mut book = self.book.lock();
        while book.finished.len() > MAX_FINISHED && !stop() {
            self.changed.wait_for(&mut book, LOOK);
        }
    }

    /// The batch is on stable storage: the files whose results may now be said.
    pub fn confirm(&self, number: u32) -> Vec<Finished> {
        let mut book = self.book.lock();
        let Some(flight) = book.flight.take_if(|f| f.number == number) else {
            return Vec::new();
        };
        self.give(book);
        self.changed.notify_all();
        flight.finished
    }

    /// Waits until everything is recorded, not longer than `patience`.
    pub fn wait_confirmed(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut book = self.book.lock();
        while book.flight.is_some()
            && !book.given_up
            && !self.changed.wait_until(&mut book, until).timed_out()
        {}
    }

    /// Nobody waits for records any more.
    pub fn give_up(&self) {
        self.book.lock().given_up = true;
        self.changed.notify_all();
    }

    /// Gives a batch unless one is outstanding or there is nothing to record.
    fn give(&self, mut book: parking_lot::MutexGuard<'_, Book>) {
        if book.flight.is_some() {
            return;
        }
        let backlog = std::mem::take(&mut book.flushed);
        if book.parts.is_empty() && book.done.is_empty() && book.gone.is_empty() {
            return;
        }
        book.last = book.last.wrapping_add(1);
        let parts = std::mem::take(&mut book.parts);
        let begun = parts.keys().copied();
        let begun: HashSet<FileKey> = begun.filter(|key| book.recorded.insert(*key)).collect();
        let batch = Batch {
            number: book.last,
            parts: parts.into_values().collect(),
            done: std::mem::take(&mut book.done),
            gone: std::mem::take(&mut book.gone),
        };
        book.flight = Some(Flight {
            number: book.last,
            finished: std::mem::take(&mut book.finished),
            backlog,
            begun,
        });
        drop(book);
        (self.on_batch)(batch);
    }
}

impl Book {
    fn take_dirty(&mut self) -> Vec<Arc<LargeFile>> {
        let through = std::mem::take(&mut self.written);
        self.flushing.join(through);
        self.dirty.drain().map(|(_, file)| file).collect()
    }

    /// A part of this key is no more.
    fn is_over(&mut self, key: &FileKey) {
        self.live.remove(key);
        self.parts.remove(key);
        if self.recorded.remove(key) {
            self.gone.extend_from_slice(key);
        }
    }
}

impl Backlog {
    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.since.get_or_insert_with(Instant::now);
    }

    fn join(&mut self, other: Backlog) {
        self.bytes += other.bytes;
        self.since = match (self.since, other.since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
