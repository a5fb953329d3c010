//! Folders: made writable at once, given their permissions and times when everything in them is done.

use super::commit::Commit;
use super::temp::umask;
use super::{Meta, RecvJob};
use crate::error::Code;
use crate::fs::{Kind, meta as attr, meta::SpecialBits};
use crate::job::{JobError, add};

/// Folders of a job, in the order in which they came: parents first.
#[derive(Default)]
pub(super) struct Folders(Vec<Meta>);

impl RecvJob {
    /// Makes a folder.
    pub(super) fn folder(&self, meta: &Meta) {
        if self.stream.is_some() {
            return self.fail_entry(
                meta.id,
                &meta.path,
                Code::IsADirectory,
                "a folder can't go to a stream",
            );
        }
        if self.discards() {
            return self.discard_folder(meta);
        }
        if meta.path.is_empty() {
            return self.made(meta);
        }
        match self.parents.make(&meta.path, 0o700) {
            Ok(()) => self.made(meta),
            Err(e) => match self.base.stat(&meta.path, true) {
                Ok(there) if there.kind == Kind::Directory => self.made(meta),
                _ => self.refuse(meta, &e),
            },
        }
    }

    fn made(&self, meta: &Meta) {
        self.folders.lock().0.push(meta.clone());
        self.commit(Commit::Folder { id: meta.id });
    }

    /// Permissions, owners and times, deepest first, so that none is changed by what happens below it.
    pub(super) fn finish_folders(&self) {
        let mut folders = std::mem::take(&mut self.folders.lock().0);
        folders.sort_by(|a, b| b.path.cmp(&a.path));
        for meta in &folders {
            if let Err((code, text)) = self.finish_folder(meta) {
                self.status.error(JobError {
                    code,
                    path: meta.path.clone(),
                    message: text,
                });
                add(&self.status.counters.failed, 1);
            }
        }
        if self.options.fsync && !folders.is_empty() {
            // Errors of data were seen before; this is for modes and times.
            let _ = rustix::fs::syncfs(self.base_fd());
        }
    }

    fn finish_folder(&self, meta: &Meta) -> Result<(), (Code, String)> {
        let fd = self
            .base
            .open_dir(&meta.path)
            .map_err(|e| (e.code, e.to_string()))?;
        let os = |e: rustix::io::Errno| (Code::from_errno(e), std::io::Error::from(e).to_string());
        if self.options.owner {
            attr::set_owner(&fd, meta.uid, meta.gid).map_err(os)?;
        }
        let mode = if self.options.perms {
            meta.mode
        } else {
            0o777 & !umask()
        };
        attr::set_mode(&fd, mode, SpecialBits::Drop).map_err(os)?;
        attr::set_times(&fd, meta.mtime_ns).map_err(os)
    }
}
