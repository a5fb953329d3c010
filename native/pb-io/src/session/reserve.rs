//! On a long path one lane works and the others rest. Lanes that fill one path each hold the best that they ever had of it to
//! be theirs; together they send more than it carries, and take their own queue for somebody else's (docs/design/0013).
//! What more lanes are good for is more processors, so they are called when those are what holds the first one up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pb_proto::sample::PathSample;
use pb_proto::time::{Instant, MS, Nanos, SECOND};

use crate::transport::LaneId;

/// Round trips of a path that is long. On shorter ones a wrong estimate lasts a few milliseconds, and starting with all
/// lanes is worth more.
pub const LONG_PATH: Nanos = 5 * MS;

/// What held a lane up is looked at over so long.
const SPAN: Nanos = SECOND;

/// A lane at one time.
#[derive(Clone, Copy)]
struct Looked {
    at: Instant,
    /// For how long processors have held it up.
    held: Nanos,
    /// Processor time of its thread.
    spent: Nanos,
}

/// Which lanes are to work.
#[derive(Default)]
pub struct Reserve {
    /// The others have been called; for good.
    called: AtomicBool,
    first: OnceLock<LaneId>,
    /// The first lane when it was looked at last.
    looked: Mutex<Option<Looked>>,
}

impl Reserve {
    /// Every lane works from now on.
    pub fn call(&self) {
        self.called.store(true, Ordering::Relaxed);
    }

    /// The lane that is up first is the one that works. To be told of lanes over UDP; those over TCP are paced by the kernel and
    /// never rest.
    pub fn up(&self, lane: LaneId) {
        self.first.get_or_init(|| lane);
    }

    /// `min_rtt` is of this lane's path.
    pub fn rests(&self, lane: LaneId, min_rtt: Option<Nanos>) -> bool {
        !self.called.load(Ordering::Relaxed)
            && min_rtt.is_some_and(|rtt| rtt >= LONG_PATH)
            && self.first.get().is_some_and(|first| *first != lane)
    }

    /// Calls the others when processors have held up the first for half of a second in which its thread did little but
    /// work. One that waits for a processor is not helped by more that do. `spent` is the processor time of the thread
    /// that calls, which is the lane's own.
    pub fn hear(&self, sample: &PathSample, at: Instant, spent: Nanos) {
        if self.called.load(Ordering::Relaxed) || self.first.get() != Some(&sample.lane) {
            return;
        }
        let held = sample.limited.cpu_ns;
        let mut looked = self.looked.lock();
        let before = *looked.get_or_insert(Looked { at, held, spent });
        let span = at.since(before.at);
        if span < SPAN {
            return;
        }
        let waited = held.saturating_sub(before.held) < span / 2;
        let idled = spent.saturating_sub(before.spent) < span / 4 * 3;
        if !waited && !idled {
            self.call();
        }
        *looked = Some(Looked { at, held, spent });
    }
}

/// Processor time of the calling thread.
pub fn thread_time() -> Nanos {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Option<Nanos> = Some(100 * MS);

    fn started() -> Reserve {
        let reserve = Reserve::default();
        reserve.up(1);
        reserve.up(0);
        reserve
    }

    /// A sample each 50 ms over two seconds, in which processors held lane 1 up for `part` of the time and its thread
    /// worked for `work` of it.
    fn watch(reserve: &Reserve, part: f64, work: f64) {
        for step in 0..=40_u64 {
            let of = |part: f64| (step as f64 * 50.0 * part) as u64 * MS;
            let mut sample = PathSample {
                lane: 1,
                ..PathSample::default()
            };
            sample.limited.cpu_ns = of(part);
            reserve.hear(&sample, Instant(step * 50 * MS), of(work));
        }
    }

    #[test]
    fn on_a_long_path_the_lane_that_was_up_first_works_alone() {
        let reserve = started();
        assert!(!reserve.rests(1, LONG));
        assert!(reserve.rests(0, LONG));
        assert!(reserve.rests(2, LONG));
    }

    #[test]
    fn on_a_short_path_and_one_not_known_all_work() {
        let reserve = started();
        assert!(!reserve.rests(0, Some(MS)));
        assert!(!reserve.rests(0, None));
    }

    #[test]
    fn busy_processors_call_the_others_for_good() {
        let reserve = started();
        watch(&reserve, 0.6, 0.9);
        assert!(!reserve.rests(0, LONG));
    }

    #[test]
    fn a_little_work_calls_nobody() {
        let reserve = started();
        watch(&reserve, 0.4, 0.9);
        assert!(reserve.rests(0, LONG));
    }

    #[test]
    fn waiting_for_a_processor_calls_nobody() {
        let reserve = started();
        watch(&reserve, 1.0, 0.5);
        assert!(reserve.rests(0, LONG));
    }

    #[test]
    fn what_holds_up_a_resting_lane_does_not_count() {
        let reserve = started();
        for step in 0..40_u64 {
            let mut sample = PathSample::default();
            sample.limited.cpu_ns = step * SECOND;
            reserve.hear(&sample, Instant(step * SECOND), step * SECOND);
        }
        assert!(reserve.rests(0, LONG));
    }
}
