//! What a job has to do with its checkpoint: chunks are flushed and recorded, results wait for their record, and what is
//! recorded stays when the job ends before its files do.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use pb_proto::message::item::SourceToken;
use pb_proto::message::note::Outcome;
use rustix::fs::fdatasync;
use rustix::io::Errno;

use super::checkpoint::{CheckpointOptions, Finished, Ledger, PartRecord, Past, pack_run};
use super::commit::{Commit, Ready};
use super::file::{Known, LargeFile};
use super::{Meta, RecvJob, Unfinished};
use crate::error::Code;
use crate::fs::{stat_fd, sync_dir};
use crate::hash::Hash;
use crate::source::{FileKey, file_key};

/// See the module.
pub(super) struct Checkpoint {
    pub past: Past,
    pub ledger: Ledger,
    /// See [`CheckpointOptions::placed_since_ns`].
    pub placed_since_ns: Option<i64>,
    flusher: Mutex<Option<JoinHandle<()>>>,
    /// The job was given up: unfinished files go.
    remove: AtomicBool,
    /// Unfinished files of a job that is at its end.
    left: Mutex<Vec<Arc<LargeFile>>>,
}

/// At the end of a job the last record is waited for so long: a caller that can't record any more costs no more.
const LAST_RECORD: Duration = Duration::from_secs(2);

impl Checkpoint {
    pub fn new(options: CheckpointOptions) -> Checkpoint {
        Checkpoint {
            past: Past::new(options.parts, options.done),
            ledger: Ledger::new(options.flush_bytes, options.flush, options.on_batch),
            placed_since_ns: options.placed_since_ns,
            flusher: Mutex::default(),
            remove: AtomicBool::new(false),
            left: Mutex::default(),
        }
    }
}

/// Starts the thread that makes chunks durable.
pub(super) fn spawn(job: &Arc<RecvJob>) -> std::io::Result<()> {
    let Some(checkpoint) = &job.checkpoint else {
        return Ok(());
    };
    let of_thread = Arc::clone(job);
    let thread = thread::Builder::new()
        .name("pb-checkpoint".into())
        .spawn(move || run(&of_thread))?;
    *checkpoint.flusher.lock() = Some(thread);
    Ok(())
}

fn run(job: &RecvJob) {
    let Some(checkpoint) = &job.checkpoint else {
        return;
    };
    while let Some(files) = checkpoint.ledger.next_flush() {
        files.iter().for_each(|file| job.flush(checkpoint, file));
        checkpoint.ledger.flush_ended();
        job.gate.room();
    }
}

impl RecvJob {
    /// The caller's records hold this batch and those before it.
    pub fn confirm(&self, number: u32) {
        let Some(checkpoint) = &self.checkpoint else {
            return;
        };
        let files = checkpoint.ledger.confirm(number);
        self.gate.room();
        if !files.is_empty() {
            self.commit(Commit::Recorded(files));
        }
    }

    /// The key of a file that is recorded when it is finished.
    pub(super) fn key(&self, meta: &Meta, token: &SourceToken) -> Option<FileKey> {
        self.checkpoint.as_ref()?;
        file_key(&meta.path, token)
    }

    /// A large file begins that a later run may go on with.
    pub(super) fn known(&self, meta: &Meta, size: u64, token: &SourceToken) -> Option<Known> {
        let (checkpoint, key) = (self.checkpoint.as_ref()?, self.key(meta, token)?);
        let first = checkpoint.ledger.begin(key, meta.id);
        first.then_some(Known { key, size })
    }

    /// A verified chunk is written.
    pub(super) fn to_record(&self, file: &Arc<LargeFile>, offset: u64, len: usize, value: Hash) {
        if let Some(checkpoint) = &self.checkpoint
            && file.to_flush(offset, len, value)
        {
            checkpoint.ledger.wrote(file, len as u64);
        }
    }

    /// Has more been written than may be lost?
    pub(super) fn is_unrecorded(&self) -> bool {
        self.checkpoint
            .as_ref()
            .is_some_and(|c| c.ledger.is_behind())
    }

    /// For a writer that has a chunk: waits while more is unrecorded than may be lost.
    pub(super) fn pace_chunk(&self) {
        if self.checkpoint.is_some() {
            self.gate
                .wait_while(|| self.is_unrecorded() && !self.stopped());
        }
    }

    /// Makes the chunks of a file durable that were written since the last time.
    fn flush(&self, checkpoint: &Checkpoint, file: &LargeFile) {
        let mut chunks = file.take_unflushed();
        let Some(known) = file.known.filter(|_| !chunks.is_empty()) else {
            return;
        };
        match self.flushed(checkpoint, file, known, &mut chunks) {
            Ok(Some(part)) => checkpoint.ledger.flushed(file.meta.id, part),
            // It is finished or given up.
            Ok(None) => {}
            Err(e) => {
                let (_, text) = self.os_text(&file.meta, "fsync", e);
                let code = if e == Errno::NOSPC {
                    Code::NoSpace
                } else {
                    Code::FsyncFailed
                };
                self.drop_large(file, code, &text);
            }
        }
    }

    fn flushed(
        &self,
        checkpoint: &Checkpoint,
        file: &LargeFile,
        known: Known,
        chunks: &mut [(u64, Hash)],
    ) -> Result<Option<PartRecord>, Errno> {
        let (Some(target), Some((temporary, folder))) = (file.target(), file.temporary()) else {
            return Ok(None);
        };
        if self.options.fsync {
            file.syncs.sync(|| fdatasync(target.as_ref()))?;
            if !checkpoint.ledger.is_recorded(&known.key) {
                // Its name is to outlast a power failure, too.
                sync_dir(folder.as_fd())?;
            }
        }
        let there = stat_fd(target.as_fd())?;
        let mut part = PartRecord {
            key: known.key,
            target: file.meta.path.clone(),
            size: known.size,
            chunk_bytes: file.chunk_bytes,
            temporary,
            device: there.device,
            inode: there.inode,
            birth_ns: there.birth_ns,
            chunks: Vec::new(),
        };
        pack_run(&mut part.chunks, chunks);
        Ok(Some(part))
    }

    /// Gives up an unfinished file.
    pub(super) fn discard_large(&self, file: &LargeFile) {
        file.discard(&self.status.counters.bytes);
        self.part_gone(file.known.map(|k| k.key));
    }

    /// The part of a file that was not finished is no more.
    pub(super) fn part_gone(&self, key: Option<FileKey>) {
        if let (Some(checkpoint), Some(key)) = (&self.checkpoint, key) {
            checkpoint.ledger.discarded(&key);
        }
    }

    /// Files stand under their final names: results that need no record first are added to `results`.
    pub(super) fn published(&self, files: Vec<Ready>, results: &mut Vec<(u32, Outcome<'static>)>) {
        let mut recorded = Vec::new();
        for ready in files {
            let file = Finished {
                id: ready.meta.id,
                path: ready.meta.path,
                size: ready.size,
                hash: ready.hash,
            };
            match ready.key {
                Some(key) => recorded.push((key, file)),
                None => self.arrived(vec![file], results),
            }
        }
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|_| !recorded.is_empty()) {
            checkpoint.ledger.finished(recorded);
            checkpoint.ledger.wait_for_room(&|| self.stopped());
        }
    }

    /// Files that the sender may hear of.
    pub(super) fn arrived(&self, files: Vec<Finished>, results: &mut Vec<(u32, Outcome<'static>)>) {
        for file in files {
            let hash = file.hash;
            self.status.file(self.place(&file.path), file.size, hash);
            results.push((file.id, Outcome::Done { hash }));
        }
    }

    /// The job is given up from here.
    pub(super) fn abandon(&self, unfinished: Unfinished) {
        let Some(checkpoint) = &self.checkpoint else {
            return;
        };
        if self.stopped() {
            return checkpoint.ledger.give_up();
        }
        let remove = unfinished == Unfinished::Remove;
        checkpoint.remove.store(remove, Ordering::Release);
    }

    /// What becomes of the unfinished files of a job that stops.
    pub(super) fn leave_or_discard(&self, files: impl Iterator<Item = Arc<LargeFile>>) {
        match self.keeping() {
            // Writers may still be at work on them.
            Some(checkpoint) => checkpoint.left.lock().extend(files),
            None => files.for_each(|file| self.discard_large(&file)),
        }
    }

    fn keeping(&self) -> Option<&Checkpoint> {
        let checkpoint = self.checkpoint.as_ref()?;
        (!checkpoint.remove.load(Ordering::Acquire)).then_some(checkpoint)
    }

    /// A finished entry that will not get its name, as the job is over.
    pub(super) fn drop_commit(&self, commit: Commit) {
        match commit {
            Commit::File(ready) => {
                let kept = |key| self.keeping().is_some_and(|c| c.ledger.is_kept(key));
                if !ready.key.as_ref().is_some_and(kept) {
                    ready.temp.discard();
                    self.part_gone(ready.key);
                }
            }
            Commit::Link { temp, .. } => temp.discard(),
            Commit::Recorded(files) => {
                let mut results = Vec::new();
                self.arrived(files, &mut results);
                self.resolve(&results);
            }
            _ => {}
        }
    }

    /// The last flush and the last record; nobody writes any more.
    pub(super) fn end_checkpoint(&self) {
        let Some(checkpoint) = &self.checkpoint else {
            return;
        };
        checkpoint.ledger.close();
        if let Some(flusher) = checkpoint.flusher.lock().take() {
            let _ = flusher.join();
        }
        let left = std::mem::take(&mut *checkpoint.left.lock());
        left.iter().for_each(|file| self.flush(checkpoint, file));
        checkpoint.ledger.flush_ended();
        checkpoint.ledger.wait_confirmed(LAST_RECORD);
        for file in left {
            match file.known {
                Some(k) if checkpoint.ledger.is_kept(&k.key) => file.leave(),
                _ => self.discard_large(&file),
            }
        }
    }
}
