//! Between the writers and the committer: writers don't run far ahead, and none is at work when the job ends.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Resource, getrlimit};

/// See the module.
#[derive(Default)]
pub(super) struct Gate {
    busy: Mutex<usize>,
    changed: Condvar,
}

/// A writer at work.
pub(super) struct Busy<'a>(&'a Gate);

/// A writer that hangs in a system call for longer (a dead network file system) is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a writer that waits looks whether the job still runs.
const LOOK: Duration = Duration::from_millis(50);

impl Gate {
    pub fn enter(&self) -> Busy<'_> {
        *self.busy.lock() += 1;
        Busy(self)
    }

    /// Waits while `full` says so; it is asked with the gate locked, so must not use the gate.
    pub fn wait_while(&self, full: impl Fn() -> bool) {
        let mut busy = self.busy.lock();
        while full() {
            self.changed.wait_for(&mut busy, LOOK);
        }
    }

    /// There is room again. Locks the gate: whoever has just seen that there was none is asleep by then, and hears it.
    pub fn room(&self) {
        let _busy = self.busy.lock();
        self.changed.notify_all();
    }

    /// Waits for the writers that are at work.
    pub fn wait_idle(&self) {
        let until = Instant::now() + PATIENCE;
        let mut busy = self.busy.lock();
        while *busy > 0 && !self.changed.wait_until(&mut busy, until).timed_out() {}
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock() -= 1;
        self.0.changed.notify_all();
    }
}

/// An eighth of the descriptors that this process may have, at most `most`: what queues or caches may hold each.
pub(super) fn share_of_descriptors(most: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 8;
    usize::try_from(limit).unwrap_or(most).clamp(2, most)
}
