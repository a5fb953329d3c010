//! The emulator's clock: picoseconds since its start, monotonic.

use std::mem::zeroed;

const NANOS: u64 = 1_000_000_000;
const PS_PER_NS: u64 = 1000;

pub struct Clock {
    start_ns: u64,
}

/// One reading of both clocks of the kernel, to place its packet timestamps (CLOCK_REALTIME) on ours.
#[derive(Clone, Copy)]
pub struct Reading {
    pub now: u64,
    realtime_ns: u64,
}

impl Clock {
    pub fn start() -> Clock {
        Clock {
            start_ns: read(libc::CLOCK_MONOTONIC),
        }
    }

    pub fn now(&self) -> u64 {
        (read(libc::CLOCK_MONOTONIC) - self.start_ns) * PS_PER_NS
    }

    pub fn reading(&self) -> Reading {
        Reading {
            now: self.now(),
            realtime_ns: read(libc::CLOCK_REALTIME),
        }
    }

    /// Sleeps until `at`; interrupted by signals only.
    pub fn sleep_until(&self, at: u64) {
        let ns = self.start_ns + at / PS_PER_NS;
        let time = libc::timespec {
            tv_sec: (ns / NANOS) as libc::time_t,
            tv_nsec: (ns % NANOS) as libc::c_long,
        };
        // SAFETY: `time` lives through the call; with an absolute time no remainder is written.
        unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &raw const time,
                std::ptr::null_mut(),
            )
        };
    }
}

impl Reading {
    /// On our clock; `now` for a time stamp from the future (the wall clock was set back).
    pub fn place(&self, realtime_ns: u64) -> u64 {
        let ago = self.realtime_ns.saturating_sub(realtime_ns);
        self.now.saturating_sub(ago.saturating_mul(PS_PER_NS))
    }
}

fn read(clock: libc::clockid_t) -> u64 {
    // SAFETY: all-zero bytes are a valid timespec.
    let mut time: libc::timespec = unsafe { zeroed() };
    // SAFETY: `time` is writable. Neither clock can fail on Linux.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * NANOS + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_times_are_placed_before_now() {
        let reading = Reading {
            now: 5_000_000,
            realtime_ns: 1_000_000,
        };
        assert_eq!(reading.place(1_000_000), 5_000_000);
        assert_eq!(reading.place(999_000), 4_000_000);
        assert_eq!(reading.place(1_000_500), 5_000_000);
        assert_eq!(reading.place(0), 0);
    }

    #[test]
    fn sleeping_reaches_the_time() {
        let clock = Clock::start();
        let at = clock.now() + 2_000_000_000;
        clock.sleep_until(at);
        assert!(clock.now() >= at);
    }
}
