//! What a session's lanes went through, kept until somebody fetches it. Nothing is kept in a session that is not traced.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use pb_proto::sample::PathSample;

use crate::transport::{LaneId, TransportKind};

/// Events kept when nobody fetches them: with four lanes at 100 samples a second, forty seconds; 4 MiB at most.
const KEPT: usize = 16_384;

/// One thing that happened to a lane.
#[derive(Debug, Clone)]
pub struct TraceEvent {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub at_ns: u64,
    pub lane: LaneId,
    pub what: Traced,
}

#[derive(Debug, Clone)]
pub enum Traced {
    Up(TransportKind),
    Sample(PathSample),
    /// And why, where it was not the session's end.
    Down(Option<String>),
}

/// Filled by lane threads; a lock held for one push.
#[derive(Default)]
pub struct Trace {
    kept: Mutex<VecDeque<TraceEvent>>,
    dropped: AtomicU64,
}

impl Trace {
    pub(super) fn push(&self, at_ns: u64, lane: LaneId, what: Traced) {
        let mut kept = self.kept.lock();
        if kept.len() == KEPT {
            kept.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        kept.push_back(TraceEvent { at_ns, lane, what });
    }

    /// What has happened since the last call, and how many events before were dropped since the trace began.
    pub fn take(&self) -> (VecDeque<TraceEvent>, u64) {
        let events = std::mem::take(&mut *self.kept.lock());
        (events, self.dropped.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_and_counts_the_others() {
        let trace = Trace::default();
        for at in 0..KEPT as u64 + 3 {
            trace.push(at, 1, Traced::Sample(PathSample::default()));
        }
        let (events, dropped) = trace.take();
        assert_eq!((events.len(), dropped), (KEPT, 3));
        assert_eq!(events.front().map(|e| e.at_ns), Some(3));
        assert!(trace.take().0.is_empty());
    }
}
