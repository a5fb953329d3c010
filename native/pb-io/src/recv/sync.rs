//! Syncs of a file, of which none follows one that failed.

use parking_lot::Mutex;
use rustix::io::Errno;

/// The kernel tells an error of writing back once and drops what it could not write: the next sync would succeed, and say
/// nothing of what is lost (Rebello et al., "Can Applications Recover from fsync Failures?", 2020). The checkpoint's and the
/// committer's syncs of a file therefore know of each other.
#[derive(Default)]
pub(super) struct Syncs(Mutex<bool>);

impl Syncs {
    /// One at a time; after one that failed, none.
    pub fn sync(&self, how: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let mut failed = self.0.lock();
        if *failed {
            return Err(Errno::IO);
        }
        how().inspect_err(|_| *failed = true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_one_that_failed_none_is_tried() {
        let syncs = Syncs::default();
        assert_eq!(syncs.sync(|| Ok(())), Ok(()));
        assert_eq!(syncs.sync(|| Err(Errno::NOSPC)), Err(Errno::NOSPC));
        assert_eq!(syncs.sync(|| unreachable!("tried again")), Err(Errno::IO));
    }
}
