//! An eventfd by which a lane thread is called out of its poll.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

use crate::sync::{AtomicBool, Ordering};

/// Wakes one lane thread. Calls between two sleeps of the thread cost one system call together.
pub struct Waker {
    fd: OwnedFd,
    pending: AtomicBool,
}

impl Waker {
    /// A waker that has not been rung.
    pub fn new() -> std::io::Result<Waker> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Waker {
            fd,
            pending: AtomicBool::new(false),
        })
    }

    /// Interrupts the thread's next or present sleep.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }

    /// Called by the thread after each sleep, before it looks for work. A call whose write is still to come stays pending: were
    /// it forgotten, nobody would read what it writes, and no sleep after it would last.
    pub fn clear(&self) {
        let mut count = [0u8; 8];
        if self.pending.load(Ordering::Acquire) && rustix::io::read(&self.fd, &mut count).is_ok() {
            self.pending.swap(false, Ordering::AcqRel);
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
