//! The table of a receiving job: what was offered, what is open, and whose fate is decided.
//!
//! It holds chunks, and with them credit, and files: what it gives away is dropped by the caller, never under its lock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use pb_proto::message::item::SourceToken;
use pb_proto::range_set::RangeSet;

use super::Meta;
use super::early::{Early, EarlyThings};
use super::file::LargeFile;
use super::items::known;
use crate::job::Counters;

/// Files wanted at once; an honest sender has at most 32,768 entries without a result (65,536 offers in older versions).
const MAX_WANTED: usize = 1 << 18;
/// Large files open at once; an honest sender has a few.
const MAX_LARGE: usize = 1024;
/// Parts that may wait open for their senders; of further ones nothing is used.
const MAX_RESUMED: usize = MAX_LARGE / 2;

/// See the module.
#[derive(Default)]
pub(super) struct Entries(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Files that were offered and wanted, and of which nothing came yet.
    wanted: HashMap<u32, Wanted>,
    large: HashMap<u32, Arc<LargeFile>>,
    /// Files that are about to be open: what comes of them waits.
    opening: HashSet<u32>,
    /// Arrived before their file was announced.
    early: EarlyThings,
    /// Entries whose result is settled, if perhaps not said yet: what still arrives of them is dropped.
    decided: RangeSet,
    /// Entries with a result.
    resolved: u64,
    /// How many there are, once said.
    total: Option<u64>,
    finishing: bool,
    stopped: bool,
}

/// A file that was offered and wanted.
pub(super) struct Wanted {
    pub meta: Meta,
    pub token: SourceToken,
    pub size: u64,
    pub chunk_log2: u8,
}

impl Wanted {
    /// Its size as far as it is one.
    pub fn known_bytes(&self) -> u64 {
        known(self.size)
    }
}

/// What there was of an entry when its fate was decided.
pub(super) struct Decided {
    pub wanted: Option<Wanted>,
    pub large: Option<Arc<LargeFile>>,
    _early: Vec<Early>,
}

impl Decided {
    /// Its path, as far as the entry was announced.
    pub fn path(&self) -> &[u8] {
        match (&self.large, &self.wanted) {
            (Some(file), _) => &file.meta.path,
            (None, Some(wanted)) => &wanted.meta.path,
            (None, None) => b"",
        }
    }
}

/// What became of a file that is to be wanted.
pub(super) enum Want {
    /// Its fate is decided, or it is open.
    Settled,
    TooMany,
    /// `begun`: something of it came already.
    Noted {
        begun: bool,
    },
}

/// Further things came of files that were never announced than are kept.
pub(super) struct TooEarly;

/// More entries have results than the sender said there are.
pub(super) struct TooManyResults;

impl Table {
    fn is_decided(&self, id: u32) -> bool {
        self.stopped || self.decided.contains(id.into())
    }

    fn is_free(&self, id: u32) -> bool {
        !self.is_decided(id) && !self.large.contains_key(&id) && !self.opening.contains(&id)
    }

    fn decide(&mut self, id: u32) -> Option<Decided> {
        if self.is_decided(id) {
            return None;
        }
        self.decided.insert(id.into());
        Some(Decided {
            wanted: self.wanted.remove(&id),
            large: self.large.remove(&id),
            _early: self.early.take(id),
        })
    }
}

impl Entries {
    /// Settles the fate of an entry: the caller, and nobody else, is to give its result. Forgets what came of it.
    pub fn decide(&self, id: u32) -> Option<Decided> {
        self.0.lock().decide(id)
    }

    /// The same for an entry of which no chunks can have come; `None` also when a file of that number is open.
    pub fn decide_unopened(&self, id: u32) -> Option<Decided> {
        let mut t = self.0.lock();
        t.is_free(id).then(|| t.decide(id)).flatten()
    }

    /// The same for a file that is wanted and of which nothing came: its content has come whole.
    pub fn decide_wanted(&self, id: u32) -> Option<Wanted> {
        let mut t = self.0.lock();
        let wanted = t.is_free(id) && t.wanted.contains_key(&id);
        let decided = wanted.then(|| t.decide(id)).flatten();
        drop(t);
        decided?.wanted
    }

    /// Notes a file that is to be asked for.
    pub fn want(&self, wanted: Wanted) -> Want {
        let mut t = self.0.lock();
        let id = wanted.meta.id;
        if !t.is_free(id) {
            return Want::Settled;
        }
        t.wanted.insert(id, wanted);
        match t.wanted.len() > MAX_WANTED {
            true => Want::TooMany,
            false => Want::Noted {
                begun: t.early.has(id),
            },
        }
    }

    /// A wanted file of which the first has come.
    pub fn take_wanted(&self, id: u32) -> Option<Wanted> {
        self.0.lock().wanted.remove(&id)
    }

    /// An offer that is said again: as if it had not been. What was found of an earlier run of its file, if anything was.
    pub fn withdraw(&self, id: u32, counters: &Counters) -> Option<Arc<LargeFile>> {
        let (size, resumed) = {
            let mut t = self.0.lock();
            let untouched = t.large.get(&id).is_some_and(|f| f.is_untouched());
            let resumed = untouched.then(|| t.large.remove(&id)).flatten();
            match (t.wanted.remove(&id), &resumed) {
                (Some(wanted), _) => (wanted.known_bytes(), resumed),
                (None, Some(file)) => (file.known.map_or(0, |k| k.size), resumed),
                (None, None) => return None,
            }
        };
        counters.total_files.fetch_sub(1, Ordering::Relaxed);
        counters.total_bytes.fetch_sub(size, Ordering::Relaxed);
        let file = resumed?;
        counters.resumed_files.fetch_sub(1, Ordering::Relaxed);
        let bytes = file.written();
        counters.resumed_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(file)
    }

    /// May no further file be opened?
    pub fn is_full(&self) -> bool {
        self.0.lock().large.len() >= MAX_LARGE
    }

    /// May a further part wait open?
    pub fn may_resume(&self) -> bool {
        self.0.lock().large.len() < MAX_RESUMED
    }

    /// A file will be open as soon as its caller has asked for what must come before anything of it; false when its fate is decided, or it is open.
    pub fn begin(&self, id: u32) -> bool {
        let mut t = self.0.lock();
        t.is_free(id) && t.opening.insert(id)
    }

    /// A file is open: what came of it before. `None` when its fate is decided, or it is open already.
    pub fn open(&self, file: &Arc<LargeFile>) -> Option<Vec<Early>> {
        let mut t = self.0.lock();
        let id = file.meta.id;
        t.opening.remove(&id);
        t.is_free(id).then(|| {
            t.large.insert(id, Arc::clone(file));
            t.early.take(id)
        })
    }

    /// The same for one that goes on with what an earlier run had; false when its fate is decided.
    pub fn open_resumed(&self, file: &Arc<LargeFile>) -> bool {
        let mut t = self.0.lock();
        let id = file.meta.id;
        let free = t.is_free(id);
        // No honest sender sends anything of a file that was not answered.
        let early = t.early.take(id);
        if free {
            t.large.insert(id, Arc::clone(file));
        }
        drop(t);
        drop(early);
        free
    }

    /// A file that is open.
    pub fn large(&self, id: u32) -> Option<Arc<LargeFile>> {
        self.0.lock().large.get(&id).cloned()
    }

    /// The file, or the thing is kept until it is announced. `Ok(None)` also when its fate is decided.
    pub fn large_or_early(
        &self,
        id: u32,
        early: Early,
    ) -> Result<Option<(Arc<LargeFile>, Early)>, TooEarly> {
        let mut t = self.0.lock();
        if let Some(file) = t.large.get(&id) {
            return Ok(Some((Arc::clone(file), early)));
        }
        if t.is_decided(id) {
            // It may be a chunk.
            drop(t);
            drop(early);
            return Ok(None);
        }
        match t.early.keep(id, early) {
            true => Ok(None),
            false => Err(TooEarly),
        }
    }

    /// The sender says how many there are; true the first time.
    pub fn expect(&self, total: u64) -> bool {
        let mut t = self.0.lock();
        let first = t.total.is_none();
        t.total.get_or_insert(total);
        first
    }

    /// So many more entries have their results.
    pub fn resolved(&self, results: usize) {
        self.0.lock().resolved += results as u64;
    }

    /// True once, when every entry has its result.
    pub fn all_resolved(&self) -> Result<bool, TooManyResults> {
        let mut t = self.0.lock();
        match t.total {
            Some(total) if total < t.resolved => Err(TooManyResults),
            Some(total) if total == t.resolved => Ok(!std::mem::replace(&mut t.finishing, true)),
            _ => Ok(false),
        }
    }

    pub fn stopped(&self) -> bool {
        self.0.lock().stopped
    }

    /// The job is over: the files that were open. `None` when it was before.
    pub fn stop(&self) -> Option<impl Iterator<Item = Arc<LargeFile>> + use<>> {
        let mut t = self.0.lock();
        if t.stopped {
            return None;
        }
        let stopped = Table {
            stopped: true,
            ..Table::default()
        };
        let left = std::mem::replace(&mut *t, stopped);
        drop(t);
        Some(left.large.into_values())
    }
}
