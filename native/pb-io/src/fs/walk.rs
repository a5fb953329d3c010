//! A whole tree, one entry at a time.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::list::Names;
use super::stat::{Kind, Meta, stat_at, stat_fd};
use super::{FsError, Root, path};
use crate::error::Code;

/// Directories of the current branch that are kept open; higher ones are opened again when they are come back to.
/// A walk must leave most of the usual 1,024 descriptors to the transfer, and work with 64.
const MAX_OPEN: usize = 16;

/// One directory of the current branch.
struct Level {
    dir: Option<OwnedFd>,
    id: (u64, u64),
    names: Names,
    /// Length of the branch's path up to and with this directory.
    prefix: usize,
}

/// Walks depth-first: a directory before its content, by name (bytes) within a directory. The directory walked
/// is not itself an entry; anything else than a directory is one entry with the empty path.
///
/// Links are entries, not followed, unless `follow`: then what they lead to is reported and entered, and a link into
/// its own branch is an error entry. Whatever vanishes or cannot be read is an error entry, and the walk goes on.
/// Memory: the names of the directories of one branch.
pub struct Walker {
    root: Root,
    base: Vec<u8>,
    follow: bool,
    max_depth: usize,
    levels: Vec<Level>,
    /// Path of the deepest level, relative to `base`.
    branch: Vec<u8>,
    waiting: VecDeque<Item>,
}

type Item = Result<(Vec<u8>, Meta), FsError>;

const OPEN: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Walker {
    /// A walk of `path`; errors only when that itself cannot be read. A `path` that is a
    /// link is followed; a dangling one is the one entry.
    pub fn new(root: Root, path: &[u8], follow: bool) -> Result<Walker, FsError> {
        let base = path::normalise("list", path)?.into_owned();
        let meta = match root.stat(&base, true) {
            Err(e) if e.code == Code::NotFound => root.stat(&base, false)?,
            other => other?,
        };
        let mut walker = Walker {
            root,
            base,
            follow,
            max_depth: usize::MAX,
            levels: Vec::new(),
            branch: Vec::new(),
            waiting: VecDeque::new(),
        };
        if meta.kind == Kind::Directory {
            let dir = walker.root.open_dir(&walker.base)?;
            walker.push(dir)?;
        } else {
            walker.waiting.push_back(Ok((Vec::new(), meta)));
        }
        Ok(walker)
    }

    /// Not deeper than `depth` levels below the walked directory; 1 is its own entries only, 0 no bound.
    pub fn with_max_depth(mut self, depth: u32) -> Walker {
        self.max_depth = if depth == 0 {
            usize::MAX
        } else {
            depth as usize
        };
        self
    }

    /// Enters an open directory, which `branch` names.
    fn push(&mut self, dir: OwnedFd) -> Result<(), FsError> {
        let failed = |e| FsError::os("list", &path::join(&self.base, &self.branch), e);
        let id = stat_fd(dir.as_fd()).map_err(failed)?.id();
        if self.levels.iter().any(|level| level.id == id) {
            return Err(failed(Errno::LOOP));
        }
        let (names, trouble) = Names::read(dir.as_fd());
        if let Some(errno) = trouble {
            let error = failed(errno);
            self.waiting.push_back(Err(error));
        }
        self.levels.push(Level {
            dir: Some(dir),
            id,
            names,
            prefix: self.branch.len(),
        });
        if let Some(high) = self.levels.len().checked_sub(MAX_OPEN + 1) {
            self.levels[high].dir = None;
        }
        Ok(())
    }

    /// The next entry of the deepest directory, `None` when that has no more.
    fn step(&mut self) -> Option<Item> {
        let level = self.levels.last_mut()?;
        self.branch.truncate(level.prefix);
        let name = level.names.next()?.to_vec();
        let relative = path::join(&self.branch, &name);
        let full = path::join(&self.base, &relative);
        if full.len() > path::MAX_PATH {
            return Some(Err(FsError::refused("list", &full, Code::InvalidPath)));
        }
        Some(self.entry(&name, relative, &full))
    }

    fn entry(&mut self, name: &[u8], relative: Vec<u8>, full: &[u8]) -> Item {
        self.reopen()?;
        let Some(dir) = self.levels.last().and_then(|level| level.dir.as_ref()) else {
            return Err(FsError::refused("list", full, Code::Internal));
        };
        let mut meta = stat_at(dir.as_fd(), name).map_err(|e| FsError::os("stat", full, e))?;
        let through_link = self.follow && meta.kind == Kind::Symlink;
        if through_link {
            meta = self.root.stat(full, true)?;
        }
        if meta.kind == Kind::Directory && self.levels.len() < self.max_depth {
            let opened = if through_link {
                self.root.open_dir(full)
            } else {
                openat(dir, name, OPEN, Mode::empty()).map_err(|e| FsError::os("open", full, e))
            };
            self.enter(opened, &relative);
        }
        Ok((relative, meta))
    }

    /// Enters a directory just reported; a failure becomes the entry after it.
    fn enter(&mut self, opened: Result<OwnedFd, FsError>, relative: &[u8]) {
        let before = std::mem::replace(&mut self.branch, relative.to_vec());
        if let Err(error) = opened.and_then(|dir| self.push(dir)) {
            self.branch = before;
            self.waiting.push_back(Err(error));
        }
    }

    /// Opens the deepest directory again if it was closed to save descriptors. When another directory has taken its
    /// place the rest of its names is given up.
    fn reopen(&mut self) -> Result<(), FsError> {
        let Some(level) = self.levels.last_mut().filter(|level| level.dir.is_none()) else {
            return Ok(());
        };
        let full = path::join(&self.base, &self.branch);
        let dir = self.root.open_dir(&full).and_then(|dir| {
            let meta = stat_fd(dir.as_fd()).map_err(|e| FsError::os("list", &full, e))?;
            if meta.id() == level.id {
                Ok(dir)
            } else {
                Err(FsError::refused("list", &full, Code::SourceChanged))
            }
        });
        match dir {
            Ok(dir) => level.dir = Some(dir),
            Err(error) => {
                self.levels.pop();
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Iterator for Walker {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Some(item);
            }
            if self.levels.is_empty() {
                return None;
            }
            match self.step() {
                Some(item) => return Some(item),
                None => {
                    self.levels.pop();
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
