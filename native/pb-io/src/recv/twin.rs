//! A move that goes on, with a policy that keeps what is there: an earlier run may have given files their names and ended
//! before it could record so. They would be skipped then, and a source that is skipped stays.
//!
//! What may be such a file is sent again and compared, and what is equal counts as placed by this run.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, fsync, openat};

use super::commit::Ready;
use super::policy::Overwrite;
use super::{Meta, RecvJob};
use crate::fs::{Kind, Meta as There, split, stat_fd, sync_dir};
use crate::hash::of_reader;
use crate::source::{file_key, token};

/// What stands under the name of a finished file.
pub(super) enum Twin {
    /// Nothing that an earlier run may have placed.
    None,
    /// The file itself, durable but for its folder.
    Equal,
    Other,
}

impl RecvJob {
    /// Can what stands there have been placed by an earlier run? It was made since that began, and looks the same.
    pub(super) fn may_be_placed(&self, there: &There, kind: Kind, mtime_ns: i64) -> bool {
        let keeps = matches!(
            self.options.overwrite,
            Overwrite::Never | Overwrite::IfNewer
        );
        let since = self.checkpoint.as_ref().and_then(|c| c.placed_since_ns);
        // A file system that tells no time of birth leaves it to the contents.
        let fresh = since.is_some_and(|at| there.birth_ns == 0 || there.birth_ns >= at);
        keeps && fresh && there.kind == kind && there.mtime_ns == mtime_ns
    }

    /// Compares a finished file with what stands under its name, if that may be its own.
    pub(super) fn twin(&self, ready: &Ready) -> Twin {
        if self
            .checkpoint
            .as_ref()
            .is_none_or(|c| c.placed_since_ns.is_none())
        {
            return Twin::None;
        }
        let place = self.place(&ready.meta.path);
        let name = split(place).map_or(place, |(_, name)| name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(there) = openat(ready.temp.folder(), name, flags, Mode::empty()) else {
            return Twin::None;
        };
        let same = |m: There| {
            // A source that stands under its own target (a bind mount, a link) is no copy of itself.
            let source = token(m.size, m.mtime_ns, m.inode);
            m.size == ready.size
                && ready.key != file_key(&ready.meta.path, &source)
                && self.may_be_placed(&m, Kind::File, ready.meta.mtime_ns)
        };
        if !stat_fd(there.as_fd()).is_ok_and(same) {
            return Twin::None;
        }
        // An earlier run may have been told not to sync.
        let synced = !self.options.fsync || fsync(&there).is_ok();
        let hash = of_reader(File::from(there)).ok();
        match synced && hash == Some(ready.hash) {
            true => Twin::Equal,
            false => Twin::Other,
        }
    }

    /// A link that stands as it is to be and may be an earlier run's; its name is durable then.
    pub(super) fn link_is_placed(&self, there: &There, meta: &Meta, target: &[u8]) -> bool {
        self.may_be_placed(there, Kind::Symlink, meta.mtime_ns)
            && there.link_target.as_deref() == Some(target)
            && self.name_is_durable(self.place(&meta.path))
    }

    /// Makes the names in the folder of this path durable.
    pub(super) fn name_is_durable(&self, path: &[u8]) -> bool {
        let folder = self.parent(path);
        folder.is_ok_and(|(folder, _)| !self.options.fsync || sync_dir(folder.as_fd()).is_ok())
    }
}
