//! A directory below which everything happens.

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, fcntl_setfl, fstatvfs, openat};
use rustix::io::Errno;

use super::resolve::{self, Engine, Failure};
use super::stat::{Kind, Meta, stat_fd};
use super::{FsError, path};
use crate::error::Code;

/// How paths below a root are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolve {
    /// Every component stays below the root; a link that leads out, or is absolute, is refused.
    Beneath,
    /// Ordinary resolution starting at the root directory; links lead where they lead.
    Host,
}

/// Room on the file system of a path, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write.
    pub available: u64,
    pub total: u64,
}

struct Inner {
    dir: OwnedFd,
    engine: Engine,
    writable: bool,
}

/// A root. Clones share its descriptor; it follows the directory through renames.
#[derive(Clone)]
pub struct Root(Arc<Inner>);

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

impl Root {
    /// Opens a directory of this host as a root.
    pub fn open(dir: &Path, resolve: Resolve, writable: bool) -> Result<Root, FsError> {
        let name = dir.as_os_str().as_bytes();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            openat(CWD, dir, flags, Mode::empty()).map_err(|e| FsError::os("open", name, e))?;
        let engine = match resolve {
            Resolve::Host => Engine::Host,
            Resolve::Beneath if resolve::has_openat2(dir.as_fd()) => Engine::Openat2,
            Resolve::Beneath => Engine::Walk,
        };
        Ok(Root(Arc::new(Inner {
            dir,
            engine,
            writable,
        })))
    }

    /// A root further down, with no more rights than this one.
    pub fn sub(&self, path: &[u8], writable: bool) -> Result<Root, FsError> {
        let dir = self.resolve("open", path, OFlags::PATH | OFlags::DIRECTORY)?;
        let inner = Inner {
            dir,
            engine: self.0.engine,
            writable: writable && self.0.writable,
        };
        Ok(Root(Arc::new(inner)))
    }

    /// The same directory with [`Resolve::Beneath`]: for what others send, who may send links too.
    pub fn confined(&self) -> Result<Root, FsError> {
        let dir = self.0.dir.try_clone().map_err(|e| {
            let errno = rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO);
            FsError::os("open", b"", errno)
        })?;
        let engine = if resolve::has_openat2(dir.as_fd()) {
            Engine::Openat2
        } else {
            Engine::Walk
        };
        let writable = self.0.writable;
        Ok(Root(Arc::new(Inner {
            dir,
            engine,
            writable,
        })))
    }

    /// Whether anything may be changed through this root.
    pub fn is_writable(&self) -> bool {
        self.0.writable
    }

    /// Opens a regular file for reading; never a FIFO or device, and never waits for one. `follow` concerns the last
    /// component; without it a link is [`Code::UnsupportedKind`].
    pub fn open_file(&self, path: &[u8], follow: bool) -> Result<File, FsError> {
        require_file(path, &self.stat(path, follow)?)?;
        let last = if follow {
            OFlags::empty()
        } else {
            OFlags::NOFOLLOW
        };
        // Something else may have taken the name since; NONBLOCK keeps even a FIFO from holding us.
        let fd = self.resolve(
            "open",
            path,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | last,
        )?;
        let failed = |e| FsError::os("open", path, e);
        require_file(path, &stat_fd(fd.as_fd()).map_err(failed)?)?;
        fcntl_setfl(&fd, OFlags::empty()).map_err(failed)?;
        Ok(File::from(fd))
    }

    /// Opens a file that a listing just called regular, and says what it is now. Two system calls less than
    /// [`open_file`](Self::open_file): should a FIFO or device have taken the name since, it is opened (without waiting)
    /// and then refused.
    pub fn open_listed(&self, path: &[u8], follow: bool) -> Result<(File, Meta), FsError> {
        let last = if follow {
            OFlags::empty()
        } else {
            OFlags::NOFOLLOW
        };
        // NONBLOCK means nothing to a regular file, so it stays.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | last;
        let fd = self.resolve("open", path, flags)?;
        let meta = stat_fd(fd.as_fd()).map_err(|e| FsError::os("open", path, e))?;
        require_file(path, &meta)?;
        Ok((File::from(fd), meta))
    }

    /// Opens a directory for reading and for fsync.
    pub fn open_dir(&self, path: &[u8]) -> Result<OwnedFd, FsError> {
        self.resolve("open", path, DIRECTORY)
    }

    /// The directory that holds `path`, and its name there. The descriptor is good for `*at` calls and
    /// [`sync_dir`](super::sync_dir).
    pub fn parent<'a>(&self, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8]), FsError> {
        let (dir, name) = self.parent_for("open", path)?;
        Ok((dir, name))
    }

    /// What `path` is. `follow` concerns the last component.
    pub fn stat(&self, path: &[u8], follow: bool) -> Result<Meta, FsError> {
        let last = if follow {
            OFlags::empty()
        } else {
            OFlags::NOFOLLOW
        };
        let fd = self.resolve("stat", path, OFlags::PATH | last)?;
        stat_fd(fd.as_fd()).map_err(|e| FsError::os("stat", path, e))
    }

    /// Where the link `path` points, as stored. [`Code::InvalidArgument`] for what is no link.
    pub fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, FsError> {
        let meta = self.stat(path, false)?;
        meta.link_target
            .ok_or_else(|| FsError::refused("readlink", path, Code::InvalidArgument))
    }

    /// Room on the file system that holds `path`.
    pub fn free_space(&self, path: &[u8]) -> Result<Space, FsError> {
        let fd = self.resolve("statvfs", path, OFlags::PATH)?;
        let raw = fstatvfs(&fd).map_err(|e| FsError::os("statvfs", path, e))?;
        let bytes = |blocks: u64| blocks.saturating_mul(raw.f_frsize);
        Ok(Space {
            available: bytes(raw.f_bavail),
            total: bytes(raw.f_blocks),
        })
    }

    /// The descriptor of the root directory itself (`O_PATH`).
    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.0.dir.as_fd()
    }

    pub(super) fn require_writable(&self, op: &'static str, path: &[u8]) -> Result<(), FsError> {
        if self.0.writable {
            Ok(())
        } else {
            Err(FsError::refused(op, path, Code::ReadOnly))
        }
    }

    pub(super) fn parent_for<'a>(
        &self,
        op: &'static str,
        path: &'a [u8],
    ) -> Result<(OwnedFd, &'a [u8]), FsError> {
        let clean = path::normalise(op, path)?;
        let Some((parent, _)) = path::split(&clean) else {
            return Err(FsError::refused(op, path, Code::InvalidPath));
        };
        let name = path::components(path).next_back().unwrap_or_default();
        let dir = match self.raw(parent, DIRECTORY, Mode::empty()) {
            // Entries can be made in a directory that may be searched and written but not read.
            Err(Failure::Os(Errno::ACCESS)) => {
                self.raw(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            }
            other => other,
        };
        Ok((dir.map_err(|e| failed(op, path, e))?, name))
    }

    pub(super) fn resolve(
        &self,
        op: &'static str,
        path: &[u8],
        flags: OFlags,
    ) -> Result<OwnedFd, FsError> {
        self.resolve_with(op, path, flags, Mode::empty())
    }

    pub(super) fn resolve_with(
        &self,
        op: &'static str,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, FsError> {
        let clean: Cow<'_, [u8]> = path::normalise(op, path)?;
        self.raw(&clean, flags, mode)
            .map_err(|e| failed(op, path, e))
    }

    fn raw(&self, clean: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Failure> {
        resolve::open(self.0.engine, self.dir(), clean, flags, mode)
    }

    /// The same root, resolving without `openat2`.
    #[cfg(test)]
    pub(super) fn walking(&self) -> Root {
        let dir = self.0.dir.try_clone().unwrap();
        Root(Arc::new(Inner {
            dir,
            engine: Engine::Walk,
            writable: self.0.writable,
        }))
    }
}

fn failed(op: &'static str, path: &[u8], failure: Failure) -> FsError {
    match failure {
        Failure::Escapes => FsError::refused(op, path, Code::PathEscapes),
        Failure::Os(errno) => FsError::os(op, path, errno),
    }
}

fn require_file(path: &[u8], meta: &Meta) -> Result<(), FsError> {
    match meta.kind {
        Kind::File => Ok(()),
        Kind::Directory => Err(FsError::refused("open", path, Code::IsADirectory)),
        Kind::Symlink | Kind::Other => Err(FsError::refused("open", path, Code::UnsupportedKind)),
    }
}

#[cfg(test)]
#[path = "root_tests.rs"]
mod tests;
