//! Temporary directories for the tests of this room.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A directory that is gone when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch::below(&std::env::temp_dir())
    }

    /// In memory where the host has such a place, for tests of many operations that sync.
    pub(crate) fn quick() -> Scratch {
        let shm = Path::new("/dev/shm");
        if shm.is_dir() {
            Scratch::below(shm)
        } else {
            Scratch::new()
        }
    }

    fn below(top: &Path) -> Scratch {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = top.join(format!("pb-fs-{}-{n}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A directory of this name inside, made.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
