//! What a receiver remembers beyond its process: which parts of unfinished files and which files are durable. The caller
//! keeps the records (`docs/design/0004-checkpoints.md`); here they are gathered, given in batches, and used again.

mod adopt;
mod ledger;
mod past;
mod record;

use std::time::Duration;

use crate::hash::Hash;
use crate::source::FileKey;
pub(super) use adopt::{Adopted, Durable, adopt, remove};
pub(super) use ledger::{Finished, Ledger};
pub(super) use past::Past;
pub use record::PartRecord;
pub(super) use record::{Runs, identity_of, pack_run};

/// What is kept of a receiving job, and what was kept of it before.
pub struct CheckpointOptions {
    /// Unfinished files of earlier runs.
    pub parts: Vec<PartRecord>,
    /// Files that an earlier run finished, with their root hashes.
    pub done: Vec<(FileKey, Hash)>,
    /// So many bytes are written between two flushes at most.
    pub flush_bytes: u64,
    /// And so much time passes.
    pub flush: Duration,
    /// Put into temporary names instead of the process's number, so that the job's are known in every run.
    pub name_tag: Option<u32>,
    /// Of a move: an earlier run may have placed files since then (ns since 1970) and not recorded them. `None`: none did.
    pub placed_since_ns: Option<i64>,
    /// Hears of a batch; the next comes after [`super::RecvJob::confirm`].
    pub on_batch: Box<dyn Fn(Batch) + Send + Sync>,
}

/// What became durable since the batch before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Counts from 1.
    pub number: u32,
    pub parts: Vec<PartRecord>,
    /// Finished files: key, size u64, root hash; [`DONE_RECORD`] bytes each, big-endian.
    pub done: Vec<u8>,
    /// Keys of parts that are no more.
    pub gone: Vec<u8>,
}

/// Bytes of a record of a finished file.
pub const DONE_RECORD: usize = 16 + 8 + 32;
