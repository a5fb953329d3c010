//! Making, touching and renaming.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fchmod, fsync, linkat, mkdirat, openat, renameat,
    renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::stat::{Kind, stat_at, stat_fd};
use super::{FsError, Root, meta, path};
use crate::error::Code;

impl Root {
    /// Makes a directory; true when it was made. `mode` 0: 0777 less the umask; else exactly `mode & 0777`.
    /// With `parents` missing parents are made too and an existing directory is fine.
    pub fn mkdir(&self, path: &[u8], parents: bool, mode: u32) -> Result<bool, FsError> {
        self.require_writable("mkdir", path)?;
        let clean = path::normalise("mkdir", path)?;
        if clean.is_empty() {
            return if parents {
                Ok(false)
            } else {
                Err(FsError::refused("mkdir", path, Code::Exists))
            };
        }
        if !parents {
            return self.mkdir_one(&clean, mode).map(|()| true);
        }
        // Upward to the deepest parent that is there, then down again.
        let mut missing: Vec<&[u8]> = Vec::new();
        let mut at: &[u8] = &clean;
        let mut made = loop {
            match self.mkdir_parent(at, mode) {
                Err(e) if e.code == Code::NotFound && at.contains(&b'/') => {
                    missing.push(at);
                    at = path::split(at).map_or(at, |(parent, _)| parent);
                }
                other => break other?,
            }
        };
        while let Some(next) = missing.pop() {
            made = self.mkdir_parent(next, mode)?;
        }
        Ok(made)
    }

    /// Makes one directory, content with an existing one.
    fn mkdir_parent(&self, path: &[u8], mode: u32) -> Result<bool, FsError> {
        match self.mkdir_one(path, mode) {
            Err(e) if e.code == Code::Exists => match self.stat(path, true) {
                Ok(meta) if meta.kind == Kind::Directory => Ok(false),
                Ok(_) => Err(e),
                Err(other) if other.code == Code::NotFound => Err(e),
                Err(other) => Err(other),
            },
            other => other.map(|()| true),
        }
    }

    fn mkdir_one(&self, path: &[u8], mode: u32) -> Result<(), FsError> {
        let failed = |e| FsError::os("mkdir", path, e);
        let (dir, name) = self.parent_for("mkdir", path)?;
        let exact = Mode::from_raw_mode(mode & 0o777);
        if exact.is_empty() {
            return mkdirat(&dir, name, Mode::from_raw_mode(0o777)).map_err(failed);
        }
        mkdirat(&dir, name, exact | Mode::RWXU).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&dir, name, flags, Mode::empty()).map_err(failed)?;
        fchmod(&made, exact).map_err(failed)
    }

    /// Sets access and modification time (`None`: now) of what `path` leads to, or makes an empty file.
    /// Without `create` a missing file is [`Code::NotFound`].
    pub fn touch(&self, path: &[u8], mtime_ns: Option<i64>, create: bool) -> Result<(), FsError> {
        self.require_writable("touch", path)?;
        let fd = match self.resolve("touch", path, OFlags::PATH) {
            Err(e) if e.code == Code::NotFound && create => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let made = self.resolve_with("touch", path, flags, Mode::from_raw_mode(0o666));
                match (made, mtime_ns) {
                    (Err(raced), _) if raced.code == Code::Exists => {
                        self.resolve("touch", path, OFlags::PATH)?
                    }
                    (Ok(_), None) => return Ok(()),
                    (made, _) => made?,
                }
            }
            other => other?,
        };
        meta::touch(fd.as_fd(), mtime_ns).map_err(|e| FsError::os("touch", path, e))
    }

    /// Renames or moves within the root; both directories are on disk when it returns. An existing `to` is
    /// [`Code::Exists`] unless `replace`. Two names of one file are [`Code::SameFile`]: rename(2) would leave
    /// both and call it success.
    pub fn rename(&self, from: &[u8], to: &[u8], replace: bool) -> Result<(), FsError> {
        self.require_writable("rename", from)?;
        let (from_dir, from_name) = self.parent_for("rename", from)?;
        let (to_dir, to_name) = self.parent_for("rename", to)?;
        let source =
            stat_at(from_dir.as_fd(), from_name).map_err(|e| FsError::os("rename", from, e))?;
        let failed = |e| FsError::os("rename", if e == Errno::NOENT { from } else { to }, e);
        if replace {
            match stat_at(to_dir.as_fd(), to_name) {
                Ok(target) if target.is_same_file(&source) => {
                    return Err(FsError::refused("rename", to, Code::SameFile));
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(FsError::os("rename", to, errno)),
            }
            renameat(&from_dir, from_name, &to_dir, to_name).map_err(failed)?;
        } else {
            let directory = source.kind == Kind::Directory;
            no_replace((&from_dir, from_name), (&to_dir, to_name), directory).map_err(failed)?;
        }
        sync_both(&from_dir, from, &to_dir, to)
    }
}

type Place<'a> = (&'a OwnedFd, &'a [u8]);

fn no_replace(from: Place<'_>, to: Place<'_>, directory: bool) -> Result<(), Errno> {
    match renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        // NOREPLACE is unknown to some network file systems.
        Err(Errno::INVAL | Errno::NOSYS) => link_or_check(from, to, directory),
        other => other,
    }
}

fn link_or_check(from: Place<'_>, to: Place<'_>, directory: bool) -> Result<(), Errno> {
    if directory {
        // Nothing but an empty directory can be replaced by one, so a race here loses no data.
        return match stat_at(to.0.as_fd(), to.1) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => renameat(from.0, from.1, to.0, to.1),
            Err(errno) => Err(errno),
        };
    }
    linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
    unlinkat(from.0, from.1, AtFlags::empty())
}

fn sync_both(from_dir: &OwnedFd, from: &[u8], to_dir: &OwnedFd, to: &[u8]) -> Result<(), FsError> {
    // The new name first: a crash in between then leaves two names, never none.
    sync_dir(to_dir).map_err(|e| FsError::fsync(to, e))?;
    let same = match (stat_fd(from_dir.as_fd()), stat_fd(to_dir.as_fd())) {
        (Ok(a), Ok(b)) => a.is_same_file(&b),
        _ => false,
    };
    if same {
        Ok(())
    } else {
        sync_dir(from_dir).map_err(|e| FsError::fsync(from, e))
    }
}

/// Puts a directory's entries on disk. Works for descriptors of [`Root::parent`] whichever way they were opened.
pub fn sync_dir(dir: impl AsFd) -> Result<(), Errno> {
    match fsync(dir) {
        // An O_PATH descriptor (a directory that may not be read): all that is left is to sync everything.
        Err(Errno::BADF) => {
            rustix::fs::sync();
            Ok(())
        }
        // File systems that have no fsync for directories order their metadata themselves.
        Err(Errno::INVAL) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
