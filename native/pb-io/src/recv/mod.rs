//! The receiving side of a job: bundles and chunks come in, verified and durable files stand at the end.
//!
//! Writers (the session's threads) call [`RecvJob::bundle`] and [`RecvJob::chunk`]; finished files go to the
//! [`commit`] thread, which alone gives final names and results.

pub mod checkpoint;
mod chunk;
mod commit;
mod discard;
mod durable;
mod early;
mod ending;
mod entries;
mod file;
mod folders;
mod gate;
mod items;
mod large;
mod parents;
mod policy;
pub mod pumped;
mod reread;
mod resume;
mod small;
mod stream;
mod sync;
mod temp;
mod twin;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;
use pb_proto::message::DecodeError;
use pb_proto::message::note::{Note, Outcome};

use crate::error::Code;
use crate::fs::{Root, join, split, stat_at};
use crate::job::{JobError, State, Status};
use crate::session::{Accepts, AnyJob, Chunk, Job, Session};
use crate::transport::TransportError;
use checkpoint::CheckpointOptions;
use commit::Commit;
use entries::{Entries, TooManyResults};
use folders::Folders;
use parents::Parents;
pub use policy::Overwrite;
pub use resume::remove_parts;

/// How to receive.
pub struct RecvOptions {
    pub job: u32,
    pub root: Root,
    /// Below the root; made when it is not there.
    pub base: Vec<u8>,
    /// `base` is the name of the one file to come.
    pub exact_name: bool,
    pub overwrite: Overwrite,
    pub fsync: bool,
    pub perms: bool,
    pub owner: bool,
    /// The bytes of the one file go here in order, and nothing is made on disk.
    pub stream: Option<File>,
    /// Everything is verified, and nothing is made on disk.
    pub discard: bool,
    /// Each file is read again before it gets its name.
    pub reread: bool,
}

/// Whether what was received of unfinished files stays for a later run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// As far as the checkpoint knows of it.
    Keep,
    Remove,
}

/// What an entry is to be; owned, as it outlives its bundle.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub id: u32,
    /// Below the base as the sender says.
    pub path: Vec<u8>,
    pub mtime_ns: i64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// A job of the receiving side.
pub struct RecvJob {
    pub(crate) options: RecvOptions,
    /// Everything is below this.
    pub(crate) base: Root,
    base_dir: OwnedFd,
    /// Name of the one file, with `exact_name`.
    name: Vec<u8>,
    /// Nothing was there at the start, so nothing needs to be compared.
    pub(crate) fresh: bool,
    pub(crate) session: Weak<Session>,
    pub(crate) status: Arc<Status>,
    entries: Entries,
    parents: Parents,
    folders: Mutex<Folders>,
    commits: Mutex<Option<Sender<Commit>>>,
    stream: Option<Mutex<stream::Stream>>,
    /// Its clones count the files that the committer is to close.
    held_open: Arc<()>,
    gate: gate::Gate,
    checkpoint: Option<durable::Checkpoint>,
    /// Of the checkpoint; in temporary names.
    name_tag: Option<u32>,
    accepts: Accepts,
    /// Finished entries that wait for the committer, each perhaps with a descriptor.
    depth: usize,
}

/// Descriptors of finished files that wait for the committer; further ones are closed and opened again for their fsync.
const MAX_HELD_OPEN: usize = 16;

impl RecvJob {
    /// Adds the job to a session, prepares its folder, and tells the sender to begin. With a `checkpoint` what becomes
    /// durable is told, and what it holds of earlier runs is not received again.
    pub fn start(
        session: &Arc<Session>,
        options: RecvOptions,
        status: Arc<Status>,
        checkpoint: Option<CheckpointOptions>,
    ) -> Result<Arc<RecvJob>, JobError> {
        let Base {
            root: base,
            name,
            made,
        } = open_base(&options)?;
        let fresh = options.stream.is_some() || made || policy::is_fresh(&base, &name);
        let dense = options.stream.is_some();
        let name_tag = checkpoint.as_ref().and_then(|c| c.name_tag);
        let checkpoint = checkpoint
            .filter(|_| options.stream.is_none() && !options.discard)
            .map(durable::Checkpoint::new);
        let known = checkpoint.as_ref().is_some_and(|c| !c.past.is_empty());
        let push = !known && (fresh || options.overwrite == Overwrite::Always);
        let stream = match &options.stream {
            Some(file) => Some(Mutex::new(
                stream::Stream::new(file, session.memory())
                    .map_err(|e| job_error(Code::IoError, &e.to_string()))?,
            )),
            None => None,
        };
        let (commits, queue) = unbounded();
        let job = Arc::new(RecvJob {
            parents: Parents::new(base.clone(), made),
            base_dir: base
                .open_dir(b"")
                .map_err(|e| job_error(e.code, &e.to_string()))?,
            base,
            name,
            fresh,
            session: Arc::downgrade(session),
            status,
            entries: Entries::default(),
            folders: Mutex::default(),
            commits: Mutex::new(Some(commits)),
            stream,
            held_open: Arc::new(()),
            gate: gate::Gate::default(),
            checkpoint,
            name_tag,
            accepts: Accepts { push, dense },
            depth: gate::share_of_descriptors(commit::GROUP),
            options,
        });
        commit::spawn(&job, queue)
            .map_err(|e| job_error(Code::ResourceExhausted, &e.to_string()))?;
        let number = job.options.job;
        if let Err(e) = durable::spawn(&job) {
            job.end_committer(State::Failed);
            return Err(job_error(Code::ResourceExhausted, &e.to_string()));
        }
        if let Err(e) = session.add_job(number, Arc::clone(&job) as AnyJob) {
            job.end_committer(State::Failed);
            return Err(job_error(e.code, &e.message));
        }
        session.send_notes(number, &[Note::Accept { push, dense }]);
        Ok(job)
    }

    /// What its sender is told at the start.
    pub fn accepts(&self) -> Accepts {
        self.accepts
    }

    pub(crate) fn stopped(&self) -> bool {
        self.entries.stopped()
    }

    /// For a writer that is about to make something: waits while the committer is far behind.
    fn pace(&self) {
        let behind = || {
            let queued = self.commits.lock().as_ref().map(Sender::len);
            queued.is_some_and(|n| n >= self.depth)
        };
        self.gate.wait_while(behind);
    }

    fn commit(&self, commit: Commit) {
        match self.commits.lock().as_ref() {
            Some(queue) => _ = queue.send(commit),
            None => self.drop_commit(commit),
        }
    }

    /// The results of entries, said to the sender; the last one finishes the job.
    pub(crate) fn resolve(&self, results: &[(u32, Outcome<'_>)]) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        let notes: Vec<Note<'_>> = results
            .iter()
            .map(|(id, outcome)| result(*id, outcome.clone()))
            .collect();
        session.send_notes(self.options.job, &notes);
        self.resolved(results.len());
    }

    /// So many more entries have a result, and their sender was told.
    fn resolved(&self, entries: usize) {
        if entries > 0 {
            self.entries.resolved(entries);
            self.check_finished();
        }
    }

    /// Sends the committer to the folders when every entry has its result.
    fn check_finished(&self) {
        match self.entries.all_resolved() {
            Ok(true) => self.commit(Commit::Finish),
            Ok(false) => {}
            Err(TooManyResults) => self.breach("more entries than the sender said there are"),
        }
    }

    /// An entry fails unless its fate is decided.
    fn fail_undecided(&self, meta: &Meta, code: Code, text: &str) {
        if self.entries.decide_unopened(meta.id).is_some() {
            self.fail_entry(meta.id, &meta.path, code, text);
        }
    }

    /// A finished file for the committer, open if few are.
    fn held_open(&self, file: Arc<File>) -> Option<commit::Open> {
        let token = Arc::clone(&self.held_open);
        (Arc::strong_count(&token) <= MAX_HELD_OPEN + 1).then_some((file, token))
    }

    /// The base folder, for `syncfs`.
    pub(crate) fn base_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.base_dir.as_fd()
    }

    /// Where an entry goes: its path below the base.
    pub(crate) fn place<'a>(&'a self, path: &'a [u8]) -> &'a [u8] {
        if path.is_empty() { &self.name } else { path }
    }

    /// The folder of a path below the base, made when it is not there, and the last name.
    pub(crate) fn parent<'a>(
        &self,
        path: &'a [u8],
    ) -> Result<(Arc<OwnedFd>, &'a [u8]), crate::fs::FsError> {
        let (parent, name) = split(path).unwrap_or((b"", path));
        Ok((self.parents.get(parent)?, name))
    }

    /// What stands at a path below the base, never followed; nothing is made. One call where its folder is open.
    fn stat(&self, path: &[u8]) -> Result<crate::fs::Meta, crate::fs::FsError> {
        let (parent, name) = split(path).unwrap_or((b"", path));
        let folder = self.parents.find(parent)?;
        stat_at(folder.as_fd(), name).map_err(|e| crate::fs::FsError::os("stat", path, e))
    }
}

impl Job for RecvJob {
    fn receives(&self) -> bool {
        true
    }

    fn chunk(&self, chunk: Chunk) {
        self.chunk_arrived(chunk);
    }

    fn bundle(&self, items: &[u8]) -> Result<(), DecodeError> {
        self.bundle_arrived(items)
    }

    fn hear(&self, note: &Note<'_>) {
        if let Note::Abort { code, text } = note {
            let text = String::from_utf8_lossy(text);
            self.end_by_sender(Code::from_wire(code), &text);
        }
    }

    fn fail(&self, why: &TransportError) {
        self.end_by_sender(why.code, &why.message);
    }
}

fn result(id: u32, outcome: Outcome<'_>) -> Note<'_> {
    Note::Result { id, outcome }
}

pub(crate) fn job_error(code: Code, message: &str) -> JobError {
    JobError {
        code,
        path: Vec::new(),
        message: message.to_string(),
    }
}

/// Where a job writes.
struct Base {
    /// Everything goes below it.
    root: Root,
    /// Of the one file, where it has one.
    name: Vec<u8>,
    /// The folder was not there before; with `discard` it still is not, and `root` is one above it.
    made: bool,
}

fn open_base(options: &RecvOptions) -> Result<Base, JobError> {
    if options.stream.is_some() {
        return Ok(Base {
            root: options.root.clone(),
            name: Vec::new(),
            made: false,
        });
    }
    let at = |e: crate::fs::FsError| JobError {
        code: e.code,
        path: e.path.clone(),
        message: e.to_string(),
    };
    let clean = crate::fs::normalise("open", &options.base).map_err(at)?;
    let (folder, name) = match options.exact_name {
        true => split(&clean).map_or((Vec::new(), clean.to_vec()), |(f, n)| {
            (f.to_vec(), n.to_vec())
        }),
        false => (clean.to_vec(), Vec::new()),
    };
    if options.exact_name && name.is_empty() {
        return Err(JobError {
            code: Code::InvalidArgument,
            path: join(&folder, b""),
            message: "no file name".into(),
        });
    }
    if options.discard {
        let (root, there) = discard::open_base(&options.root, &folder).map_err(at)?;
        let made = !there;
        return Ok(Base { root, name, made });
    }
    let mut made = false;
    if !folder.is_empty() {
        made = options.root.mkdir(&folder, true, 0).map_err(at)?;
    }
    // What is sent may hold links: from here on none leads out.
    let base = options.root.sub(&folder, true).and_then(|r| r.confined());
    Ok(Base {
        root: base.map_err(at)?,
        name,
        made,
    })
}

/// For messages: a path as the user may know it.
pub(crate) fn shown(path: &[u8]) -> String {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path))
        .display()
        .to_string()
}
