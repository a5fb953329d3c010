//! Open folders, kept while files are made in them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::gate::share_of_descriptors;
use crate::error::Code;
use crate::fs::{FsError, Root};

/// Descriptors kept; a tree is received folder by folder, so few are needed at once.
const KEPT: usize = 256;

/// See the module.
pub(super) struct Parents {
    base: Root,
    open: Mutex<HashMap<Vec<u8>, Arc<OwnedFd>>>,
    most: usize,
    /// A folder was made whose own name is not on disk yet.
    made: AtomicBool,
}

impl Parents {
    /// `made`: the base itself is new.
    pub fn new(base: Root, made: bool) -> Parents {
        Parents {
            base,
            open: Mutex::default(),
            most: share_of_descriptors(KEPT),
            made: AtomicBool::new(made),
        }
    }

    /// The folder at a path below the base, made with its parents when it is not there.
    pub fn get(&self, path: &[u8]) -> Result<Arc<OwnedFd>, FsError> {
        self.kept(path, || self.open(path))
    }

    /// The same, and an error where it is not there.
    pub fn find(&self, path: &[u8]) -> Result<Arc<OwnedFd>, FsError> {
        self.kept(path, || self.base.open_dir(path))
    }

    fn kept(
        &self,
        path: &[u8],
        open: impl Fn() -> Result<OwnedFd, FsError>,
    ) -> Result<Arc<OwnedFd>, FsError> {
        if let Some(fd) = self.open.lock().get(path) {
            return Ok(Arc::clone(fd));
        }
        let fd = match open() {
            Err(e) if e.code == Code::TooManyOpenFiles => {
                self.clear();
                open()
            }
            other => other,
        };
        let fd = Arc::new(fd?);
        let mut open = self.open.lock();
        if open.len() >= self.most {
            open.clear();
        }
        open.insert(path.to_vec(), Arc::clone(&fd));
        Ok(fd)
    }

    /// Makes a folder with its parents; content with one that is there.
    pub fn make(&self, path: &[u8], mode: u32) -> Result<(), FsError> {
        if self.base.mkdir(path, true, mode)? {
            self.made.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Were folders made since the last call? Then their names need a sync, too.
    pub fn take_made(&self) -> bool {
        self.made.swap(false, Ordering::AcqRel)
    }

    fn open(&self, path: &[u8]) -> Result<OwnedFd, FsError> {
        match self.base.open_dir(path) {
            Err(e) if e.code == Code::NotFound => {
                self.make(path, 0)?;
                self.base.open_dir(path)
            }
            other => other,
        }
    }

    /// Lets all go.
    pub fn clear(&self) {
        self.open.lock().clear();
    }
}
