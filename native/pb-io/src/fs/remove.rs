//! Removing, descriptor by descriptor: no name is ever followed, whatever is swapped in meanwhile.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, openat, seek, unlinkat};
use rustix::io::Errno;

use super::stat::{Kind, stat_at, stat_fd};
use super::{FsError, Root, path, sync_dir};
use crate::error::Code;

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Everything that is no directory.
    pub files: u64,
    pub directories: u64,
}

/// Open directories of the branch being removed; higher ones are reached again through `..` and compared.
const MAX_OPEN: usize = 16;

/// How often a directory that keeps filling up is read again before the removal gives up.
const MAX_PASSES: u32 = 8;

const DENTS: usize = 32 * 1024;

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Root {
    /// Removes a file, link or empty directory; with `recursive` a directory and all in it. Stops at the first
    /// entry that cannot be removed and names it. The parent directory is on disk when it returns.
    pub fn remove(&self, path: &[u8], recursive: bool) -> Result<Removed, FsError> {
        self.remove_until(path, recursive, &AtomicBool::new(false))
    }

    /// Like [`remove`](Self::remove), ending with [`Code::Aborted`] soon after `stop` is set.
    pub fn remove_until(
        &self,
        path: &[u8],
        recursive: bool,
        stop: &AtomicBool,
    ) -> Result<Removed, FsError> {
        self.require_writable("remove", path)?;
        let (dir, name) = self.parent_for("remove", path)?;
        let kind = stat_at(dir.as_fd(), name)
            .map_err(|e| FsError::os("remove", path, e))?
            .kind;
        let mut removed = Removed::default();
        if kind == Kind::Directory && recursive {
            let clean = path::normalise("remove", path)?.into_owned();
            Removal {
                path: clean,
                levels: Vec::new(),
                removed: &mut removed,
                stop,
            }
            .run(&dir, name)?;
        } else {
            let flags = if kind == Kind::Directory {
                AtFlags::REMOVEDIR
            } else {
                AtFlags::empty()
            };
            unlinkat(&dir, name, flags).map_err(|e| FsError::os("remove", path, e))?;
            removed.count(kind == Kind::Directory);
        }
        sync_dir(&dir).map_err(|e| FsError::fsync(path, e))?;
        Ok(removed)
    }
}

impl Removed {
    fn count(&mut self, directory: bool) {
        if directory {
            self.directories += 1
        } else {
            self.files += 1
        }
    }
}

struct Level {
    dir: Option<OwnedFd>,
    id: (u64, u64),
    /// Directories of the last batch of names, still to be entered.
    inside: Vec<Vec<u8>>,
    name_len: usize,
    passes: u32,
}

struct Removal<'a> {
    /// The directory being emptied, for errors.
    path: Vec<u8>,
    levels: Vec<Level>,
    removed: &'a mut Removed,
    stop: &'a AtomicBool,
}

enum Batch {
    Some,
    End,
}

impl Removal<'_> {
    fn run(mut self, parent: &OwnedFd, name: &[u8]) -> Result<(), FsError> {
        let top = openat(parent, name, OPEN, Mode::empty()).map_err(|e| self.error(e))?;
        self.push(top, name.len())?;
        while !self.levels.is_empty() {
            self.empty()?;
            self.finish(parent)?;
        }
        Ok(())
    }

    /// Removes the deepest directory, which has just been emptied, and goes one up.
    fn finish(&mut self, parent: &OwnedFd) -> Result<(), FsError> {
        let Some(done) = self.levels.pop() else {
            return Ok(());
        };
        let cut = self.path.len() - done.name_len;
        match unlink_directory(self.levels.last_mut(), parent, &done, &self.path[cut..]) {
            Ok(true) => self.removed.directories += 1,
            Ok(false) => self.removed.files += 1,
            Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) if done.passes < MAX_PASSES => {
                return self.again(done);
            }
            Err(errno) => return Err(self.error(errno)),
        }
        if !self.levels.is_empty() {
            self.path.truncate(cut.saturating_sub(1));
        }
        Ok(())
    }

    /// Something appeared in a directory after its end had been read.
    fn again(&mut self, mut level: Level) -> Result<(), FsError> {
        if let Some(dir) = &level.dir {
            seek(dir, SeekFrom::Start(0)).map_err(|e| self.error(e))?;
        }
        level.passes += 1;
        self.levels.push(level);
        Ok(())
    }

    fn push(&mut self, dir: OwnedFd, name_len: usize) -> Result<(), FsError> {
        let id = stat_fd(dir.as_fd()).map_err(|e| self.error(e))?.id();
        self.levels.push(Level {
            dir: Some(dir),
            id,
            inside: Vec::new(),
            name_len,
            passes: 0,
        });
        if let Some(high) = self.levels.len().checked_sub(MAX_OPEN + 1) {
            // Its unread names come again from the start when it is opened again.
            self.levels[high].dir = None;
        }
        Ok(())
    }

    /// Descends until the deepest directory has nothing left.
    fn empty(&mut self) -> Result<(), FsError> {
        while let Some(level) = self.levels.last_mut() {
            if let Some(name) = level.inside.pop() {
                self.descend(&name)?;
            } else if let Batch::End = self.batch()? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn descend(&mut self, name: &[u8]) -> Result<(), FsError> {
        let Some(dir) = self.levels.last().and_then(|level| level.dir.as_ref()) else {
            return Err(self.refused(Code::Internal));
        };
        match openat(dir, name, OPEN, Mode::empty()) {
            Ok(fd) => {
                self.path = path::join(&self.path, name);
                self.push(fd, name.len())
            }
            // No directory any more: what took its place is removed, not followed.
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let gone = unlinkat(dir, name, AtFlags::empty());
                self.unlinked(name, gone)
            }
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(FsError::os("remove", &path::join(&self.path, name), errno)),
        }
    }

    /// Unlinks one batch of names; directories among them are kept for later.
    fn batch(&mut self) -> Result<Batch, FsError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(self.refused(Code::Aborted));
        }
        let mut buffer = vec![MaybeUninit::uninit(); DENTS];
        let Some(level) = self.levels.last_mut() else {
            return Ok(Batch::End);
        };
        let Some(dir) = level.dir.as_ref() else {
            return Ok(Batch::End);
        };
        let mut entries = RawDir::new(dir, &mut buffer);
        let mut seen = Batch::End;
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|e| FsError::os("remove", &self.path, e))?;
            let name = entry.file_name().to_bytes();
            seen = Batch::Some;
            if name != b"." && name != b".." {
                let outcome = if entry.file_type() == FileType::Directory {
                    Err(Errno::ISDIR)
                } else {
                    unlinkat(dir, name, AtFlags::empty())
                };
                match outcome {
                    Ok(()) => self.removed.files += 1,
                    Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR) => level.inside.push(name.to_vec()),
                    Err(errno) => {
                        return Err(FsError::os("remove", &path::join(&self.path, name), errno));
                    }
                }
            }
            if entries.is_buffer_empty() {
                break;
            }
        }
        Ok(seen)
    }

    fn unlinked(&mut self, name: &[u8], outcome: Result<(), Errno>) -> Result<(), FsError> {
        match outcome {
            Ok(()) => self.removed.files += 1,
            // A directory again: the next pass over its parent finds it.
            Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(errno) => return Err(FsError::os("remove", &path::join(&self.path, name), errno)),
        }
        Ok(())
    }

    fn error(&self, errno: Errno) -> FsError {
        FsError::os("remove", &self.path, errno)
    }

    fn refused(&self, code: Code) -> FsError {
        FsError::refused("remove", &self.path, code)
    }
}

/// True when a directory was removed, false when something else had taken its name and was removed instead.
fn unlink_directory(
    above: Option<&mut Level>,
    parent: &OwnedFd,
    done: &Level,
    name: &[u8],
) -> Result<bool, Errno> {
    let above = match above {
        None => parent.as_fd(),
        Some(level) => reach(level, done.dir.as_ref())?,
    };
    match unlinkat(above, name, AtFlags::REMOVEDIR) {
        Ok(()) => Ok(true),
        Err(Errno::NOTDIR) => unlinkat(above, name, AtFlags::empty()).map(|()| false),
        Err(errno) => Err(errno),
    }
}

/// The descriptor of a directory that may have been closed, found again from the child that was just emptied.
fn reach<'a>(level: &'a mut Level, child: Option<&OwnedFd>) -> Result<BorrowedFd<'a>, Errno> {
    if level.dir.is_none() {
        let child = child.ok_or(Errno::STALE)?;
        let dir = openat(child, "..", OPEN, Mode::empty())?;
        // The child was moved elsewhere: what is above it now is not ours to touch.
        if stat_fd(dir.as_fd())?.id() != level.id {
            return Err(Errno::STALE);
        }
        level.inside.clear();
        level.dir = Some(dir);
    }
    level.dir.as_ref().map(AsFd::as_fd).ok_or(Errno::STALE)
}

#[cfg(test)]
#[path = "remove_tests.rs"]
mod tests;
