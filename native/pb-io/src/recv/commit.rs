//! The committer: makes finished files durable and gives them their names, in groups.
//!
//! Order within a group: data to disk, renames, folders to disk, results. A crash leaves either the old file or the whole
//! new one under the final name, and the sender hears "done" only of what survives one.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::Receiver;
use pb_proto::message::note::{Note, Outcome};
use rustix::fs::{Mode, OFlags, fsync, openat, syncfs};
use rustix::io::Errno;

use super::checkpoint::Finished;
use super::reread::reread_files;
use super::sync::Syncs;
use super::temp::Temp;
use super::twin::Twin;
use super::{Meta, RecvJob, shown};
use crate::error::Code;
use crate::hash::Hash;
use crate::job::{State, add, get};
use crate::source::FileKey;

/// What the committer is told.
pub(super) enum Commit {
    File(Ready),
    Link {
        id: u32,
        path: Vec<u8>,
        temp: Temp,
    },
    /// A folder that was made, for its own durability.
    Folder {
        id: u32,
    },
    /// The bytes are in the stream.
    Streamed {
        meta: Meta,
        size: u64,
        hash: Hash,
    },
    /// Files whose records are on stable storage: their results may be said.
    Recorded(Vec<Finished>),
    /// Every entry has its result: folders get their times, the sender hears the end.
    Finish,
    /// Remove what has no name yet and end.
    Stop(State),
}

/// An open file, and the token that counts it.
pub(super) type Open = (Arc<File>, Arc<()>);

/// A file whose content is verified and written.
pub(super) struct Ready {
    pub meta: Meta,
    pub temp: Temp,
    /// Kept open when it is large and few wait.
    pub file: Option<Open>,
    pub size: u64,
    pub hash: Hash,
    /// For its record, if one is kept.
    pub key: Option<FileKey>,
    /// Of a large file: the checkpoint may have synced it before.
    pub syncs: Option<Arc<Syncs>>,
}

/// Groups are what has gathered, up to this: more would delay results and hold descriptors.
pub(super) const GROUP: usize = 1024;
/// From this many small files on one `syncfs` is cheaper than an fsync each.
const SYNCFS_FROM: usize = 16;

pub(super) fn spawn(job: &Arc<RecvJob>, queue: Receiver<Commit>) -> std::io::Result<()> {
    let job = Arc::clone(job);
    thread::Builder::new()
        .name("pb-commit".into())
        .spawn(move || run(&job, &queue))?;
    Ok(())
}

fn run(job: &RecvJob, queue: &Receiver<Commit>) {
    let mut group = Vec::new();
    while let Ok(first) = queue.recv() {
        group.push(first);
        while group.len() < job.depth {
            match queue.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        let stop = group.iter().find_map(|c| {
            if let Commit::Stop(state) = c {
                Some(*state)
            } else {
                None
            }
        });
        if let Some(state) = stop {
            let rest = group.drain(..).chain(queue.try_iter());
            rest.for_each(|c| job.drop_commit(c));
            return end(job, state);
        }
        let finish = group.iter().any(|c| matches!(c, Commit::Finish));
        commit(job, std::mem::take(&mut group));
        job.gate.room();
        if finish {
            finish_job(job);
        }
    }
}

fn end(job: &RecvJob, state: State) {
    if job.stream.is_none() {
        job.gate.wait_idle();
    }
    job.end_checkpoint();
    job.parents.clear();
    // Not waited for: someone may be held up in a write to it.
    if let Some(mut stream) = job.stream.as_ref().and_then(|s| s.try_lock()) {
        stream.forget();
    }
    job.status.end(state);
}

fn finish_job(job: &RecvJob) {
    job.finish_folders();
    job.drop_unclaimed_parts();
    let counters = &job.status.counters;
    let (bytes, redone) = (get(&counters.bytes), get(&counters.redone_files));
    job.end_well(Note::Done { bytes, redone });
}

fn commit(job: &RecvJob, group: Vec<Commit>) {
    let mut results = Vec::new();
    let mut files = Vec::new();
    let mut links = Vec::new();
    for c in group {
        match c {
            Commit::File(ready) => files.push(ready),
            Commit::Link { id, path, temp } => links.push((id, path, temp)),
            Commit::Folder { id } => {
                add(&job.status.counters.directories, 1);
                results.push((id, Outcome::Placed));
            }
            Commit::Streamed { meta, size, hash } => {
                job.status.file(job.place(&meta.path), size, hash);
                results.push((meta.id, Outcome::Done { hash }));
            }
            Commit::Recorded(files) => job.arrived(files, &mut results),
            Commit::Finish | Commit::Stop(_) => {}
        }
    }
    let files = sync_files(job, files);
    let files = reread_files(job, files);
    let mut folders = HashMap::new();
    let files = publish_files(job, files, &mut folders);
    let links = publish_links(job, links, &mut folders);
    if let Err(e) = sync_folders(job, &folders) {
        let text = format!("fsync of a folder: {}", std::io::Error::from(e));
        job.fail_with(Code::FsyncFailed, &text);
        return;
    }
    job.published(files, &mut results);
    for id in links {
        add(&job.status.counters.symlinks, 1);
        results.push((id, Outcome::Placed));
    }
    if !results.is_empty() {
        job.resolve(&results);
    }
}

/// Makes contents durable; files whose fsync failed are removed and fail (never tried again: the kernel
/// has dropped the dirty pages).
fn sync_files(job: &RecvJob, files: Vec<Ready>) -> Vec<Ready> {
    if !job.options.fsync {
        return files;
    }
    let small = files.iter().filter(|f| f.file.is_none()).count();
    let together = small >= SYNCFS_FROM;
    if together && let Err(e) = syncfs(job.base_fd()) {
        files.into_iter().for_each(|f| fail_sync(job, &f, e));
        return Vec::new();
    }
    let sync = |f: &Ready| match &f.file {
        Some((file, _)) => fsync(file.as_ref()),
        None if together => Ok(()),
        None => fsync_named(&f.temp),
    };
    let synced = |f: &Ready| match &f.syncs {
        Some(syncs) => syncs.sync(|| sync(f)),
        None => sync(f),
    };
    files
        .into_iter()
        .filter(|f| synced(f).inspect_err(|&e| fail_sync(job, f, e)).is_ok())
        .collect()
}

fn fsync_named(temp: &Temp) -> Result<(), Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(temp.folder(), temp.temporary(), flags, Mode::empty()) {
        Ok(fd) => fsync(fd),
        // Permissions were applied already (0400 and not root): reading is enough for fsync.
        Err(Errno::ACCESS) => fsync(openat(
            temp.folder(),
            temp.temporary(),
            OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?),
        Err(e) => Err(e),
    }
}

fn fail_sync(job: &RecvJob, ready: &Ready, e: Errno) {
    ready.temp.discard();
    job.part_gone(ready.key);
    let code = if e == Errno::NOSPC {
        Code::NoSpace
    } else {
        Code::FsyncFailed
    };
    let text = format!(
        "fsync {}: {}",
        shown(job.place(&ready.meta.path)),
        std::io::Error::from(e)
    );
    job.fail_entry(ready.meta.id, &ready.meta.path, code, &text);
}

type FoldersToSync = HashMap<*const OwnedFd, Arc<OwnedFd>>;

fn publish_files(job: &RecvJob, files: Vec<Ready>, folders: &mut FoldersToSync) -> Vec<Ready> {
    let published = |ready: &Ready| {
        let (id, path, temp) = (ready.meta.id, &ready.meta.path, &ready.temp);
        let there = match job.twin(ready) {
            Twin::None => publish(job, id, path, ready.size, temp),
            Twin::Equal => {
                temp.discard();
                true
            }
            Twin::Other => skip(job, id, ready.size, temp),
        };
        if !there {
            job.part_gone(ready.key);
        }
        there
    };
    let done: Vec<Ready> = files.into_iter().filter(published).collect();
    for ready in &done {
        folders.insert(
            Arc::as_ptr(ready.temp.folder()),
            Arc::clone(ready.temp.folder()),
        );
    }
    done
}

fn publish_links(
    job: &RecvJob,
    links: Vec<(u32, Vec<u8>, Temp)>,
    folders: &mut FoldersToSync,
) -> Vec<u32> {
    let mut done = Vec::new();
    for (id, path, temp) in links {
        if publish(job, id, &path, 0, &temp) {
            folders.insert(Arc::as_ptr(temp.folder()), Arc::clone(temp.folder()));
            done.push(id);
        }
    }
    done
}

fn publish(job: &RecvJob, id: u32, path: &[u8], size: u64, temp: &Temp) -> bool {
    match temp.publish(job.options.overwrite) {
        Ok(()) => true,
        Err(Errno::EXIST) if job.options.overwrite == super::Overwrite::Never => {
            skip(job, id, size, temp)
        }
        Err(e) => {
            temp.discard();
            let text = format!(
                "rename to {}: {}",
                shown(job.place(path)),
                std::io::Error::from(e)
            );
            job.fail_entry(id, path, Code::from_errno(e), &text);
            false
        }
    }
}

/// What is there stays.
fn skip(job: &RecvJob, id: u32, size: u64, temp: &Temp) -> bool {
    temp.discard();
    add(&job.status.counters.skipped_files, 1);
    add(&job.status.counters.skipped_bytes, size);
    job.resolve(&[(id, Outcome::Skipped)]);
    false
}

fn sync_folders(job: &RecvJob, folders: &FoldersToSync) -> Result<(), Errno> {
    if !job.options.fsync {
        return Ok(());
    }
    if job.parents.take_made() || folders.len() >= SYNCFS_FROM {
        return syncfs(job.base_fd());
    }
    folders
        .values()
        .try_for_each(|fd| crate::fs::sync_dir(fd.as_fd()))
}
