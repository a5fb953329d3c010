//! Large files: chunks read at their offsets by several readers, and pipes read in order.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;
use pb_proto::message::item::{ChunkRun, Item, MAX_RUNS, NO_TOKEN, UNKNOWN_SIZE, encoded_bound};
use pb_proto::message::{CHUNK_TRAILER, ChunkTrailer};
use pb_proto::range_set::RangeSet;

use super::bundle::Bundle;
use super::pumped::PumpedFile;
use super::resume::Resume;
use super::small::{item_meta, withdraw};
use super::{Numbered, SendJob};
use crate::buffer::Buffer;
use crate::copies::Step;
use crate::error::Code;
use crate::fs::{Meta, sparse, stat_fd};
use crate::hash::{self, ChunkHash, Tree, chunk_count};
use crate::job::add;
use crate::pipe::read_full;
use crate::session::{Session, Span};
use crate::transport::OutBody;

/// A large file that is being sent.
pub(crate) struct LargeFile {
    pub id: u32,
    bytes: Bytes,
    /// As it was when it was opened; `None` for a pipe.
    before: Option<Meta>,
    pub chunk_bytes: u64,
    /// Runs of chunks that hold only zeros, and that the receiver does not have: (first, count), sorted.
    holes: Vec<ChunkRun>,
    /// Runs of chunks that are not sent: those, and what the receiver has.
    there: Vec<ChunkRun>,
    progress: Mutex<Progress>,
}

/// What a large file is read from.
enum Bytes {
    File(Arc<File>),
    Pumped(PumpedFile),
}

struct Progress {
    tree: Tree,
    /// Chunks that are not queued yet.
    left: u64,
    /// Bytes read so far of a pipe.
    read: u64,
    at_end: bool,
    failed: bool,
}

impl Progress {
    fn new(tree: Tree, left: u64) -> Mutex<Progress> {
        Mutex::new(Progress {
            tree,
            left,
            read: 0,
            at_end: false,
            failed: false,
        })
    }

    fn pipe_gave(&mut self, n: usize, asked: usize) {
        self.read += n as u64;
        if n < asked {
            self.left = 0;
        }
    }
}

/// What opening a large file gave.
enum Opened {
    AsOffered(Box<LargeFile>),
    /// It is not what the receiver was told, but this.
    Changed(Meta),
}

/// Why a chunk could not be read.
pub(super) struct ReadError(pub Code, pub String);

impl LargeFile {
    pub fn is_pipe(&self) -> bool {
        self.before.is_none()
    }

    /// Chunks that may be read at once, counted from the lowest; of one with a descriptor `usual`.
    pub fn spread(&self, usual: u64) -> u64 {
        match &self.bytes {
            _ if self.is_pipe() => 1,
            Bytes::File(_) => usual,
            Bytes::Pumped(file) => file.spread,
        }
    }

    /// Chunks of the file; of a pipe as many as there may ever be, until it is at its end.
    pub fn total_chunks(&self) -> u64 {
        match &self.before {
            Some(meta) => chunk_count(meta.size, self.chunk_bytes),
            None if self.progress.lock().at_end => 0,
            None => u64::MAX,
        }
    }

    /// Has it holes, as far as its blocks tell?
    fn is_sparse(&self) -> bool {
        self.before
            .as_ref()
            .is_some_and(|m| m.blocks * 512 < m.size)
    }

    /// Need the chunk not be sent, as it is a hole or the receiver has it?
    pub fn is_there(&self, index: u64) -> bool {
        let at = self
            .there
            .partition_point(|&(first, count)| first + count <= index);
        self.there.get(at).is_some_and(|&(first, _)| first <= index)
    }

    fn size(&self) -> u64 {
        self.before
            .as_ref()
            .map_or_else(|| self.progress.lock().read, |m| m.size)
    }

    fn chunk_len(&self, index: u64) -> usize {
        let rest = self.before.as_ref().map_or(u64::MAX, |m| m.size) - index * self.chunk_bytes;
        rest.min(self.chunk_bytes) as usize
    }

    /// Its fate is known: nothing more is read of it.
    pub fn forget(&self) {
        self.progress.lock().failed = true;
    }

    /// Fills `buffer` with the chunk; its length.
    fn read(
        &self,
        index: u64,
        mut buffer: Buffer,
        stop: &dyn Fn() -> bool,
    ) -> Result<(Buffer, usize), ReadError> {
        let (offset, len) = (index * self.chunk_bytes, self.chunk_len(index));
        let into = &mut buffer.as_mut_slice()[..len];
        let read = match &self.bytes {
            Bytes::File(file) if self.is_pipe() => read_full(file, into, stop),
            Bytes::File(file) => file.read_exact_at(into, offset).map(|()| len),
            Bytes::Pumped(file) => {
                return Ok((file.read(offset, (buffer, len), stop)?, len));
            }
        };
        let read = read.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => ReadError(
                Code::SourceChanged,
                "the file shrank while it was read".into(),
            ),
            _ => ReadError(Code::IoError, e.to_string()),
        })?;
        Ok((buffer, read))
    }

    fn unchanged(&self, stop: &dyn Fn() -> bool) -> Result<(), ReadError> {
        let Some(before) = &self.before else {
            return Ok(());
        };
        let file = match &self.bytes {
            Bytes::File(file) => file,
            Bytes::Pumped(file) => return file.unchanged(stop),
        };
        let now = stat_fd(file.as_fd()).map_err(|e| ReadError(Code::IoError, e.to_string()))?;
        let same = now.size == before.size
            && now.mtime_ns == before.mtime_ns
            && now.ctime_ns == before.ctime_ns;
        let changed = || {
            ReadError(
                Code::SourceChanged,
                "the file changed while it was read".into(),
            )
        };
        if same { Ok(()) } else { Err(changed()) }
    }
}

impl SendJob {
    /// Opens a large file and announces it, so that its chunks can be read.
    pub(super) fn open_large(&self, mut n: Numbered, wanted: bool) {
        let Some(mut bundle) = Bundle::new(self, 4096) else {
            return;
        };
        let file = match self.try_open(&mut n) {
            Ok(Opened::AsOffered(file)) => {
                self.announce(&n, &file, wanted, &mut bundle);
                Some(Arc::from(file))
            }
            Ok(Opened::Changed(now)) => {
                self.offer_again(&mut bundle, n, &now);
                None
            }
            Err(ReadError(code, text)) => {
                withdraw(&mut bundle, n.id, code, &text);
                None
            }
        };
        // Queued before any chunk can be: it must get its credit first.
        bundle.send();
        self.plan.lock().opened(file.clone());
        self.work.notify_one();
        if let Some(file) = file.filter(|f| f.progress.lock().left == 0) {
            self.end_large(&file);
        }
    }

    fn try_open(&self, n: &mut Numbered) -> Result<Opened, ReadError> {
        let chunk_bytes = u64::from(self.options.chunk_bytes);
        if let Some(pipe) = n.entry.pipe.take() {
            let progress = Progress::new(Tree::new(chunk_bytes), u64::MAX);
            return Ok(Opened::AsOffered(Box::new(LargeFile {
                id: n.id,
                bytes: Bytes::File(Arc::new(pipe)),
                before: None,
                chunk_bytes,
                holes: Vec::new(),
                there: Vec::new(),
                progress,
            })));
        }
        let (bytes, meta) = self.open_bytes(n)?;
        let resume = n.resume.take();
        if n.has_changed(&meta) {
            return Ok(Opened::Changed(meta));
        }
        n.learn(&meta);
        let resume = match resume {
            Some(resume) => {
                add(&self.status.counters.resumed_files, 1);
                add(&self.status.counters.resumed_bytes, resume.bytes());
                *resume
            }
            None => Resume::new(meta.size, chunk_bytes.trailing_zeros() as u8),
        };
        let begun = self.begin(n.id, bytes, meta, resume);
        Ok(Opened::AsOffered(Box::new(begun)))
    }

    fn open_bytes(&self, n: &Numbered) -> Result<(Bytes, Meta), ReadError> {
        if let Some(pump) = &self.pump {
            let (file, meta) = self.open_pumped(pump, n)?;
            return Ok((Bytes::Pumped(file), meta));
        }
        let opened = self.open_source(&n.entry).map_err(|e| match e.code {
            Code::NotFound => ReadError(Code::SourceVanished, e.to_string()),
            code => ReadError(code, e.to_string()),
        });
        let (file, meta) = opened?;
        Ok((Bytes::File(Arc::new(file)), meta))
    }

    /// A file of which the receiver may have chunks.
    fn begin(&self, id: u32, bytes: Bytes, meta: Meta, resume: Resume) -> LargeFile {
        let Resume {
            chunk_bytes,
            mut tree,
            have,
            ..
        } = resume;
        let dense = self.plan.lock().dense();
        let holes = match &bytes {
            Bytes::File(file) if !dense => without(holes(file, &meta, chunk_bytes), &have),
            _ => Vec::new(),
        };
        hash_holes(&mut tree, &holes, meta.size, chunk_bytes);
        let mut there = have;
        for &(first, count) in &holes {
            there.insert_range(first, first + count - 1, |_, _| {});
        }
        let mut there: Vec<ChunkRun> = there.newest_first().map(|(a, b)| (a, b - a + 1)).collect();
        there.reverse();
        let skipped: u64 = there.iter().map(|h| h.1).sum();
        let left = chunk_count(meta.size, chunk_bytes).saturating_sub(skipped);
        LargeFile {
            id,
            bytes,
            before: Some(meta),
            chunk_bytes,
            holes,
            there,
            progress: Progress::new(tree, left),
        }
    }

    fn announce(&self, n: &Numbered, file: &LargeFile, wanted: bool, bundle: &mut Bundle<'_>) {
        if let Some(before) = &file.before {
            self.remember(n.id, before);
        }
        let size = file.before.as_ref().map_or(UNKNOWN_SIZE, |m| m.size);
        if !wanted {
            let open = Item::Open {
                meta: item_meta(n),
                token: file.before.as_ref().map_or(NO_TOKEN, |m| n.opened(m)),
                size,
                chunk_log2: file.chunk_bytes.trailing_zeros() as u8,
            };
            bundle.put(&open, encoded_bound(n.entry.target.len(), 0));
        }
        if file.is_sparse() {
            bundle.put(
                &Item::Holes {
                    id: n.id,
                    runs: file.holes.clone(),
                },
                32 + file.holes.len() * 16,
            );
        }
    }

    /// Reads, hashes and queues one chunk.
    pub(super) fn chunk(&self, file: &Arc<LargeFile>, index: u64) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if !file.progress.lock().failed
            && let Err(ReadError(code, text)) = self.try_chunk(&session, file, index)
        {
            self.give_up(file, code, &text);
        }
        self.plan.lock().chunk_done(file.id, index);
        self.work.notify_one();
        let mut p = file.progress.lock();
        let complete = p.left == 0 && !p.failed && !std::mem::replace(&mut p.at_end, true);
        drop(p);
        if complete {
            self.end_large(file);
        }
    }

    /// Reads and queues a chunk that did not verify; its first reading stays the one that counts.
    pub(super) fn chunk_again(&self, file: &Arc<LargeFile>, index: u64) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if !file.progress.lock().failed
            && let Err(ReadError(code, text)) = self.queue_chunk(&session, file, index)
        {
            self.give_up(file, code, &text);
        }
    }

    /// A chunk of a pipe did not verify.
    pub(super) fn lost(&self, file: &Arc<LargeFile>, offset: u64) {
        let text = format!("the chunk at {offset} did not verify, and a pipe can't be read again");
        self.give_up(file, Code::VerificationFailed, &text);
    }

    fn try_chunk(
        &self,
        session: &Arc<Session>,
        file: &Arc<LargeFile>,
        index: u64,
    ) -> Result<(), ReadError> {
        let Some(hash) = self.queue_chunk(session, file, index)? else {
            return Ok(());
        };
        let mut p = file.progress.lock();
        p.tree.set(index, hash);
        if !file.is_pipe() {
            p.left = p.left.saturating_sub(1);
        }
        Ok(())
    }

    /// `None` at the end of a pipe, and when the job stops.
    fn queue_chunk(
        &self,
        session: &Arc<Session>,
        file: &Arc<LargeFile>,
        index: u64,
    ) -> Result<Option<ChunkHash>, ReadError> {
        let len = file.chunk_len(index);
        let stop = || session.has_ended() || self.stopped();
        let Some(buffer) = session.send_budget.take(len + CHUNK_TRAILER, &stop) else {
            return Ok(None);
        };
        let (mut buffer, n) = file.read(index, buffer, &stop)?;
        if file.is_pipe() {
            file.progress.lock().pipe_gave(n, len);
        }
        if n == 0 {
            return Ok(None);
        }
        session.copies.add(Step::Read, n);
        let offset = index * file.chunk_bytes;
        let hash = hash::chunk(offset, &buffer.as_slice()[..n]);
        let trailer = ChunkTrailer {
            job: self.options.job,
            file: file.id,
            offset,
            chaining_value: hash.chaining_value,
            sparse: file.is_sparse(),
        }
        .encode();
        let body = if session.zero_copy()
            && !file.is_pipe()
            && let Bytes::File(source) = &file.bytes
        {
            drop(buffer);
            OutBody::File {
                file: Arc::clone(source),
                offset,
                length: n as u32,
                trailer: trailer.to_vec(),
            }
        } else {
            buffer.truncate(n + CHUNK_TRAILER);
            buffer.as_mut_slice()[n..].copy_from_slice(&trailer);
            OutBody::Memory(buffer)
        };
        let len = (n + CHUNK_TRAILER) as u32;
        let span = Span {
            job: self.options.job,
            file: file.id,
            offset,
        };
        session.outbox.push_data(len, (body, Some(span)), &stop);
        Ok(Some(hash))
    }

    /// All chunks are queued: says so if the source stayed as it was.
    fn end_large(&self, file: &Arc<LargeFile>) {
        file.progress.lock().at_end = true;
        self.plan.lock().file_done(file.id);
        if let Err(ReadError(code, text)) = file.unchanged(&|| self.stopped()) {
            return self.give_up(file, code, &text);
        }
        let size = file.size();
        let hash = file.progress.lock().tree.root(size);
        if let Some(sent) = self.plan.lock().sent.get_mut(&file.id) {
            sent.hash = Some(hash);
            self.resize(sent, size);
        }
        if let Some(mut bundle) = Bundle::new(self, 64) {
            bundle.put(
                &Item::End {
                    id: file.id,
                    size,
                    hash,
                },
                64,
            );
            bundle.send();
        }
    }

    fn give_up(&self, file: &Arc<LargeFile>, code: Code, text: &str) {
        if std::mem::replace(&mut file.progress.lock().failed, true) {
            return;
        }
        self.plan.lock().file_done(file.id);
        if let Some(mut bundle) = Bundle::new(self, text.len() + 64) {
            withdraw(&mut bundle, file.id, code, text);
            bundle.send();
        }
    }
}

/// Runs, less what the receiver has.
fn without(runs: Vec<ChunkRun>, have: &RangeSet) -> Vec<ChunkRun> {
    if have.is_empty() {
        return runs;
    }
    let mut all = have.clone();
    let mut left = Vec::new();
    for (first, count) in runs {
        all.insert_range(first, first + count - 1, |a, b| left.push((a, b - a + 1)));
    }
    left.truncate(MAX_RUNS);
    left
}

/// Runs of chunks that lie wholly in holes. Files without holes cost no system call.
fn holes(file: &File, meta: &Meta, chunk_bytes: u64) -> Vec<ChunkRun> {
    if meta.blocks * 512 >= meta.size {
        return Vec::new();
    }
    let Ok(data) = sparse::data_ranges(file, meta.size) else {
        return Vec::new();
    };
    let mut runs = Vec::new();
    let mut at = 0;
    let end = chunk_count(meta.size, chunk_bytes);
    for (start, stop) in data
        .iter()
        .map(|r| (r.start / chunk_bytes, r.end.div_ceil(chunk_bytes)))
        .chain([(end, end)])
    {
        if start > at {
            runs.push((at, start - at));
        }
        at = at.max(stop);
    }
    runs.truncate(MAX_RUNS);
    runs
}

/// Zero chunks differ only by their offset, so each is hashed like any other, from one block of zeros.
fn hash_holes(tree: &mut Tree, runs: &[ChunkRun], size: u64, chunk_bytes: u64) {
    if runs.is_empty() {
        return;
    }
    let zeros = vec![0u8; chunk_bytes as usize];
    for index in runs
        .iter()
        .flat_map(|&(first, count)| first..first.saturating_add(count))
    {
        let offset = index * chunk_bytes;
        let len = (size - offset).min(chunk_bytes) as usize;
        tree.set(index, hash::chunk(offset, &zeros[..len]));
    }
}
