//! The monotonic clock as the core counts it.

use pb_proto::time::Instant;
use rustix::time::{ClockId, clock_gettime};

/// CLOCK_MONOTONIC now.
pub(crate) fn now() -> Instant {
    let t = clock_gettime(ClockId::Monotonic);
    Instant(t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64)
}
