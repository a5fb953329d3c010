//! What a sending job has to do next. Holds no I/O.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use pb_proto::message::item::NO_TOKEN;

use super::large::LargeFile;
use super::resume::{Breach, Resume};
use super::{Entry, INLINE_MAX, Numbered, Sent};
use crate::fs::Kind;
use crate::hash::Hash;

/// Small files of one bundle: at most this many bytes of content, so that a lane gets them early.
const BUNDLE_CONTENT: u64 = 512 << 10;
/// And at most this many entries.
const BUNDLE_ENTRIES: usize = 1024;
/// Offers in one bundle.
const OFFERS: usize = 2048;
/// Entries that were offered or sent and have no result; bounds both sides' memory, as files of a few bytes do not fill the
/// session's. With those that wait in the queue half of what fits [`Plan::sent`] at 131,072 buckets, so that it never grows
/// beyond that; a receiver whose results take 0.3 s gets 100,000 files a second.
const MAX_UNANSWERED: u64 = 32_768;
/// Chunks that wait to be sent again; a receiver has no memory for so many at once.
const MAX_AGAIN: usize = 65_536;
/// Gaps and subtrees of what receivers have of files that they still tell of: some 100 MiB. A receiver that wrote what it
/// was sent has a few of each file, and 4,096 holes at most.
const MAX_PIECES: usize = 1 << 20;
/// A chunk is only read when it is less than this many ahead of the lowest that is not queued yet, so that a receiver that
/// writes in order never waits for a chunk that has no credit.
const CHUNK_SPREAD: u64 = 4;

/// One piece of work for a reader.
pub(crate) enum Task {
    /// Tell the receiver what there is.
    Offer(Vec<Numbered>),
    /// Folders, links and small files, whole; `wanted`: they were offered before.
    Small {
        entries: Vec<Numbered>,
        wanted: bool,
    },
    /// Open a large file and announce it unless it was offered.
    Open { entry: Numbered, wanted: bool },
    /// Read and queue one chunk; `again`: it was sent before, and did not verify.
    Chunk {
        file: Arc<LargeFile>,
        index: u64,
        again: bool,
    },
    /// Say how many entries there were.
    Finish { entries: u64 },
}

/// See the module.
pub(crate) struct Plan {
    /// Not looked at yet.
    queue: VecDeque<Numbered>,
    next_id: u32,
    closed: bool,
    finish_said: bool,
    stopped: bool,
    /// The receiver's answer: may entries be pushed unasked?
    push: Option<bool>,
    dense: bool,
    offered: HashMap<u32, Numbered>,
    /// Of what the receiver has of those.
    pieces: usize,
    wanted_small: VecDeque<Numbered>,
    wanted_large: VecDeque<Numbered>,
    active: Vec<Active>,
    /// Large files being opened now.
    opening: usize,
    again: VecDeque<(Arc<LargeFile>, u64)>,
    pub(crate) sent: HashMap<u32, Sent>,
    /// Entries whose result was dealt with.
    settled: u64,
    /// The receiver has said that it is done.
    done: bool,
    /// Files whose chunks are all queued, kept until their result for chunks that must be sent again.
    pub(crate) kept: HashMap<u32, Arc<LargeFile>>,
    parallel_files: usize,
    /// Alternates between chunks and small files, so that neither starves.
    turn: bool,
}

/// A large file with chunks left to read.
struct Active {
    file: Arc<LargeFile>,
    next: u64,
    reading: BTreeSet<u64>,
}

impl Active {
    fn next_chunk(&mut self) -> Option<u64> {
        let total = self.file.total_chunks();
        while self.next < total && self.file.is_there(self.next) {
            self.next += 1;
        }
        let lowest = self.reading.first().copied().unwrap_or(self.next);
        let spread = self.file.spread(CHUNK_SPREAD);
        if self.next >= total
            || self.next - lowest >= spread
            || (spread == 1 && !self.reading.is_empty())
        {
            return None;
        }
        let index = self.next;
        self.next += 1;
        self.reading.insert(index);
        Some(index)
    }
}

impl Plan {
    pub fn new(parallel_files: usize) -> Plan {
        Plan {
            queue: VecDeque::new(),
            next_id: 0,
            closed: false,
            finish_said: false,
            stopped: false,
            push: None,
            dense: false,
            offered: HashMap::new(),
            pieces: 0,
            wanted_small: VecDeque::new(),
            wanted_large: VecDeque::new(),
            active: Vec::new(),
            opening: 0,
            again: VecDeque::new(),
            sent: HashMap::new(),
            settled: 0,
            done: false,
            kept: HashMap::new(),
            parallel_files,
            turn: false,
        }
    }

    pub fn push(&mut self, entry: Entry) {
        let id = self.next_id;
        self.next_id += 1;
        self.sent.insert(id, Sent::of(&entry));
        self.queue.push_back(Numbered::new(id, entry));
    }

    /// Entries that a caller who pushes should wait for.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.wanted_small.len() + self.wanted_large.len()
    }

    pub fn close(&mut self) {
        self.closed = true;
    }

    /// True the first time.
    pub fn stop(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.stopped, true);
        self.queue.clear();
        self.offered.clear();
        self.wanted_small.clear();
        self.wanted_large.clear();
        self.active.clear();
        self.again.clear();
        self.kept.clear();
        self.sent.clear();
        first
    }

    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The receiver is ready.
    pub fn accept(&mut self, push: bool, dense: bool) {
        self.push = Some(push);
        self.dense = dense;
    }

    /// Must holes be sent like data?
    pub fn dense(&self) -> bool {
        self.dense
    }

    /// The receiver wants an offered entry; one that was never offered is nothing to it.
    pub fn want(&mut self, id: u32) {
        if let Some(mut n) = self.take_offered(id) {
            n.resume = None;
            self.classify(n);
        }
    }

    fn take_offered(&mut self, id: u32) -> Option<Numbered> {
        let n = self.offered.remove(&id)?;
        let pieces = n.resume.as_ref().map_or(0, |r| r.pieces());
        self.pieces = self.pieces.saturating_sub(pieces);
        Some(n)
    }

    /// The receiver has so many chunks of an offered file, and wants the others.
    pub fn resume(&mut self, id: u32, chunk_log2: u8, chunks: u64) -> Result<(), Breach> {
        self.resuming(id, chunk_log2, |r| r.expect(chunk_log2, chunks))
    }

    /// Values of those chunks.
    pub fn have(
        &mut self,
        id: u32,
        chunk_log2: u8,
        (first, values): (u64, &[Hash]),
    ) -> Result<(), Breach> {
        self.resuming(id, chunk_log2, |r| r.add(chunk_log2, first, values))
    }

    fn resuming(
        &mut self,
        id: u32,
        chunk_log2: u8,
        hear: impl FnOnce(&mut Resume) -> Result<(), Breach>,
    ) -> Result<(), Breach> {
        let Some(n) = self.offered.get_mut(&id) else {
            return Ok(());
        };
        if n.offered == NO_TOKEN {
            return Err(Breach);
        }
        let size = n.entry.size;
        let resume = n
            .resume
            .get_or_insert_with(|| Box::new(Resume::new(size, chunk_log2)));
        let before = resume.pieces();
        hear(resume)?;
        self.pieces = (self.pieces + resume.pieces()).saturating_sub(before);
        if resume.is_complete()
            && let Some(n) = self.take_offered(id)
        {
            self.classify(n);
        }
        if self.pieces > MAX_PIECES {
            return Err(Breach);
        }
        Ok(())
    }

    /// The receiver is done. True when every result was dealt with too: messages have no order.
    pub fn receiver_done(&mut self) -> bool {
        self.done = self.finish_said;
        self.done && self.settled == u64::from(self.next_id)
    }

    /// A result was dealt with. True when it was the last thing to do.
    pub fn result_done(&mut self) -> bool {
        self.settled += 1;
        self.done && self.settled == u64::from(self.next_id)
    }

    /// The receiver has answered an entry finally.
    pub fn settle(&mut self, id: u32) -> Option<Sent> {
        self.take_offered(id);
        // Failed there: the rest of it need not be read.
        self.file_done(id);
        if let Some(file) = self.kept.remove(&id) {
            file.forget();
        }
        self.sent.remove(&id)
    }

    fn classify(&mut self, n: Numbered) {
        // What the receiver has in chunks goes on in chunks.
        let chunked = n.entry.pipe.is_some() || n.resume.is_some();
        let large = n.entry.kind == Kind::File && (n.entry.size > INLINE_MAX || chunked);
        if large {
            self.wanted_large.push_back(n)
        } else {
            self.wanted_small.push_back(n)
        }
    }

    /// The next piece of work, `None` when there is none now.
    pub fn next_task(&mut self) -> Option<Task> {
        if let Some((file, index)) = self.again.pop_front() {
            return Some(Task::Chunk {
                file,
                index,
                again: true,
            });
        }
        self.turn = !self.turn;
        let chunk_first = self.turn;
        if let Some(task) = chunk_first.then(|| self.chunk()).flatten() {
            return Some(task);
        }
        self.look_at_queue()
            .or_else(|| self.small())
            .or_else(|| self.open())
            .or_else(|| self.chunk())
            .or_else(|| self.finish())
    }

    /// Entries on their way: taken from the queue, and without a result.
    fn unanswered(&self) -> u64 {
        u64::from(self.next_id).saturating_sub(self.settled + self.queue.len() as u64)
    }

    fn look_at_queue(&mut self) -> Option<Task> {
        match self.push? {
            _ if self.unanswered() >= MAX_UNANSWERED => None,
            true => {
                let n = self.queue.len().min(BUNDLE_ENTRIES);
                for entry in self.queue.drain(..n).collect::<Vec<_>>() {
                    self.classify(entry);
                }
                None
            }
            false if self.queue.is_empty() => None,
            false => {
                let n = self.queue.len().min(OFFERS);
                Some(Task::Offer(self.queue.drain(..n).collect()))
            }
        }
    }

    /// Offers that were sent and wait for an answer. Folders and links need none.
    pub fn offer(&mut self, entry: Numbered) {
        if let Some(sent) = self.sent.get_mut(&entry.id) {
            sent.offered = entry.offered;
        }
        self.offered.insert(entry.id, entry);
    }

    fn small(&mut self) -> Option<Task> {
        let mut content = 0;
        let n = self
            .wanted_small
            .iter()
            .take(BUNDLE_ENTRIES)
            .take_while(|n| {
                let fits = content == 0 || content + n.entry.size <= BUNDLE_CONTENT;
                content += n.entry.size;
                fits
            });
        let n = n.count();
        let wanted = self.push == Some(false);
        (n > 0).then(|| Task::Small {
            entries: self.wanted_small.drain(..n).collect(),
            wanted,
        })
    }

    fn open(&mut self) -> Option<Task> {
        if self.active.len() + self.opening >= self.parallel_files {
            return None;
        }
        let entry = self.wanted_large.pop_front()?;
        self.opening += 1;
        Some(Task::Open {
            entry,
            wanted: self.push == Some(false),
        })
    }

    fn chunk(&mut self) -> Option<Task> {
        for (at, active) in self.active.iter_mut().enumerate() {
            if let Some(index) = active.next_chunk() {
                let file = Arc::clone(&active.file);
                // The next call starts with another file.
                self.active.rotate_left(at + 1);
                return Some(Task::Chunk {
                    file,
                    index,
                    again: false,
                });
            }
        }
        None
    }

    fn finish(&mut self) -> Option<Task> {
        let all_seen = self.closed && self.queue.is_empty() && self.push.is_some();
        if !all_seen || self.finish_said {
            return None;
        }
        self.finish_said = true;
        Some(Task::Finish {
            entries: u64::from(self.next_id),
        })
    }

    /// A large file is open: its chunks can be read.
    pub fn opened(&mut self, file: Option<Arc<LargeFile>>) {
        self.opening -= 1;
        if let Some(file) = file {
            self.kept.insert(file.id, Arc::clone(&file));
            self.active.push(Active {
                file,
                next: 0,
                reading: BTreeSet::new(),
            });
        }
    }

    /// A small file turned out to be large.
    pub fn grown(&mut self, entry: Numbered) {
        self.wanted_large.push_back(entry);
    }

    /// A chunk is queued.
    pub fn chunk_done(&mut self, id: u32, index: u64) {
        if let Some(active) = self.active.iter_mut().find(|a| a.file.id == id) {
            active.reading.remove(&index);
        }
    }

    /// Nothing more is to be read of the file (it is at its end, or failed).
    pub fn file_done(&mut self, id: u32) {
        self.active.retain(|a| a.file.id != id);
    }

    /// The file of that number, while it may be asked for chunks again.
    pub fn kept(&self, id: u32) -> Option<Arc<LargeFile>> {
        self.kept.get(&id).cloned()
    }

    /// The receiver asks for a chunk again; false when there is none, or it asks for more than it can have got.
    pub fn again(&mut self, id: u32, index: u64) -> bool {
        let Some(file) = self.kept.get(&id) else {
            return false;
        };
        let had = index < file.total_chunks() && !file.is_there(index);
        if !had || self.again.len() >= MAX_AGAIN {
            return false;
        }
        self.again.push_back((Arc::clone(file), index));
        true
    }
}

impl Sent {
    fn of(e: &Entry) -> Sent {
        Sent {
            root: e.root,
            source: e.source.clone(),
            target: e.target.clone(),
            kind: e.kind,
            size: e.size,
            mtime_ns: e.mtime_ns,
            inode: None,
            offered: NO_TOKEN,
            listed_inode: e.inode != 0,
            listed: e.inode,
            hash: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: u64 = 4 * MAX_UNANSWERED;

    fn small() -> Entry {
        Entry {
            root: 0,
            source: Vec::new(),
            target: Vec::new(),
            kind: Kind::File,
            size: 1,
            mtime_ns: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            inode: 1,
            link_target: Vec::new(),
            pipe: None,
        }
    }

    /// Takes all tasks that there are; the numbers of the entries in them.
    fn take(plan: &mut Plan) -> Vec<u32> {
        let mut ids = Vec::new();
        while let Some(task) = plan.next_task() {
            match task {
                Task::Offer(entries) | Task::Small { entries, .. } => {
                    ids.extend(entries.iter().map(|n| n.id));
                }
                _ => panic!("there are small files alone"),
            }
        }
        ids
    }

    #[test]
    fn what_has_no_result_is_bounded_however_small_the_files_are() {
        for push in [true, false] {
            let mut plan = Plan::new(1);
            plan.accept(push, false);
            (0..FILES).for_each(|_| plan.push(small()));
            let room =
                MAX_UNANSWERED as usize..MAX_UNANSWERED as usize + BUNDLE_ENTRIES.max(OFFERS);
            let mut sent = take(&mut plan);
            assert!(room.contains(&sent.len()), "{} at once", sent.len());
            let mut total = 0;
            while !sent.is_empty() {
                total += sent.len() as u64;
                for id in sent {
                    assert!(plan.settle(id).is_some());
                    assert!(!plan.result_done());
                }
                sent = take(&mut plan);
                assert!(sent.len() < room.end);
            }
            assert_eq!(total, FILES);
        }
    }
}
