//! rustix's names for eventfd, whose counters are loom's: each system call is a point at which threads may change.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use loom::sync::{Condvar, Mutex};

loom::lazy_static! {
    static ref COUNTERS: Mutex<HashMap<RawFd, u64>> = Mutex::new(HashMap::new());
    static ref RUNG: Condvar = Condvar::new();
}

fn number(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

pub mod event {
    use std::fs::File;
    use std::ops::BitOr;
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    use super::{COUNTERS, RUNG, number};

    pub struct EventfdFlags;

    impl EventfdFlags {
        pub const NONBLOCK: EventfdFlags = EventfdFlags;
        pub const CLOEXEC: EventfdFlags = EventfdFlags;
    }

    impl BitOr for EventfdFlags {
        type Output = EventfdFlags;
        fn bitor(self, _: EventfdFlags) -> EventfdFlags {
            self
        }
    }

    /// A descriptor that only lends its number.
    pub fn eventfd(count: u64, _: EventfdFlags) -> std::io::Result<OwnedFd> {
        let fd = OwnedFd::from(File::open("/dev/null")?);
        COUNTERS.lock().unwrap().insert(fd.as_raw_fd(), count);
        Ok(fd)
    }

    /// Poll, for one that nothing else calls.
    pub fn wait_readable(fd: &impl AsFd) {
        let mut counters = COUNTERS.lock().unwrap();
        while counters[&number(fd)] == 0 {
            counters = RUNG.wait(counters).unwrap();
        }
    }

    pub fn is_readable(fd: &impl AsFd) -> bool {
        COUNTERS.lock().unwrap()[&number(fd)] > 0
    }
}

pub mod io {
    use super::{AsFd, COUNTERS, RUNG, number};

    /// EAGAIN.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Errno;

    pub fn write(fd: &impl AsFd, bytes: &[u8; 8]) -> Result<usize, Errno> {
        let mut counters = COUNTERS.lock().unwrap();
        *counters.entry(number(fd)).or_default() += u64::from_ne_bytes(*bytes);
        RUNG.notify_all();
        Ok(bytes.len())
    }

    pub fn read(fd: &impl AsFd, bytes: &mut [u8; 8]) -> Result<usize, Errno> {
        let mut counters = COUNTERS.lock().unwrap();
        let counter = counters.entry(number(fd)).or_default();
        *bytes = std::mem::take(counter).to_ne_bytes();
        match u64::from_ne_bytes(*bytes) {
            0 => Err(Errno),
            _ => Ok(bytes.len()),
        }
    }
}

pub mod process {
    pub enum Resource {
        Nofile,
    }

    pub struct Rlimit {
        pub current: Option<u64>,
    }

    pub fn getrlimit(_: Resource) -> Rlimit {
        Rlimit {
            current: Some(1024),
        }
    }
}
