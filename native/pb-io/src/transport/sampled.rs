//! When a lane's next sample is due.

use pb_proto::time::{Instant, MS, Nanos};

use super::LaneHost;

/// Least time between samples: 20 a second.
const SAMPLE_EVERY: Nanos = 50 * MS;
/// ... and for a trace: 100 a second.
const FINE_EVERY: Nanos = 10 * MS;

/// True when a lane that gave its last sample at `last` is to give another. The host is asked only when it matters.
pub fn is_sample_due(host: &dyn LaneHost, last: Instant, now: Instant) -> bool {
    let span = now.since(last);
    span >= SAMPLE_EVERY || (span >= FINE_EVERY && host.wants_fine_samples())
}
