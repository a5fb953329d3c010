//! A job whose bytes are verified and go nowhere: it measures the way to here without the destination's disk.
//!
//! What a real transfer would refuse is refused (paths, what is in the way, access to the folder), and what it would skip is
//! skipped; nothing is made or changed.

use rustix::fs::{Access, AtFlags, accessat};
use rustix::io::Errno;

use super::commit::Commit;
use super::{Meta, RecvJob};
use crate::error::Code;
use crate::fs::{FsError, Kind, Root, split};
use crate::hash::Hash;
use crate::job::add;
use pb_proto::message::note::Outcome;

/// The folder `path` where it is there, else the nearest above it, and whether it is that one. This process must have the
/// access to it that making something there would need.
pub(super) fn open_base(root: &Root, path: &[u8]) -> Result<(Root, bool), FsError> {
    let mut at = path;
    loop {
        match root.sub(at, true) {
            Ok(found) => {
                may_write(&found, at)?;
                return Ok((found.confined()?, at == path));
            }
            Err(e) if e.code == Code::NotFound && !at.is_empty() => {
                at = split(at).map_or(b"".as_slice(), |(above, _)| above);
            }
            Err(e) => return Err(e),
        }
    }
}

fn may_write(folder: &Root, path: &[u8]) -> Result<(), FsError> {
    if !folder.is_writable() {
        return Err(FsError::refused("write", path, Code::ReadOnly));
    }
    let dir = folder.open_dir(b"")?;
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(&dir, ".", wanted, AtFlags::EACCESS) {
        // A kernel without faccessat2 can't say.
        Ok(()) | Err(Errno::NOSYS) => Ok(()),
        Err(e) => Err(FsError::os("write", path, e)),
    }
}

impl RecvJob {
    pub(super) fn discards(&self) -> bool {
        self.options.discard
    }

    /// A verified file has come whole.
    pub(super) fn discarded(&self, meta: &Meta, size: u64, hash: Hash) {
        let meta = meta.clone();
        self.commit(Commit::Streamed { meta, size, hash });
    }

    pub(super) fn discard_folder(&self, meta: &Meta) {
        let there = (!self.fresh).then(|| self.base.stat(&meta.path, true));
        match there {
            Some(Ok(there)) if there.kind != Kind::Directory => {
                let text = "a file is in the way of a folder of that name";
                self.fail_entry(meta.id, &meta.path, Code::NotADirectory, text);
            }
            _ => self.commit(Commit::Folder { id: meta.id }),
        }
    }

    pub(super) fn discard_link(&self, meta: &Meta) {
        add(&self.status.counters.symlinks, 1);
        self.resolve(&[(meta.id, Outcome::Placed)]);
    }
}
