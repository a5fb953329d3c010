//! Whether the threads of a session are what holds it up: those of its lanes, its readers, its writers.
//!
//! A thread that is nearly always on a processor, or runnable and waiting for one, does not wait for a disk, a pipe, or a peer.
//! The scheduler counts both (`/proc/PID/task/TID/schedstat`, Documentation/scheduler/sched-stats.rst), so that a machine
//! that is busy with other things shows as well. A kernel without these counts never says "cpu".

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pb_proto::sample::{LimitedBy, LimitedTimes, PathSample};

use crate::transport::LaneId;

/// What a thread does for its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Lane,
    Reader,
    Writer,
}

/// Shares of the time are taken over at least this long: a lane's samples are 50 ms apart.
const LOOK: Duration = Duration::from_millis(40);
/// Share of the time from which a thread is held up by processors. Below it, it waits for something else at times, which
/// then is what holds it up.
const SATURATED: f64 = 0.85;

/// Bits of what was saturated at the last look.
const LANES: u8 = 1;
const BESIDE_LANES: u8 = 2;

/// See the module.
#[derive(Default)]
pub(crate) struct CpuWatch {
    threads: Mutex<Threads>,
    saturated: AtomicU8,
    told: Mutex<HashMap<LaneId, Told>>,
}

#[derive(Default)]
struct Threads {
    all: Vec<Thread>,
    at: Option<Instant>,
}

struct Thread {
    stage: Stage,
    id: i32,
    wanted: Duration,
}

/// Times of a lane as it gave them, and as they were passed on.
#[derive(Default)]
struct Told {
    given: LimitedTimes,
    passed: LimitedTimes,
}

impl CpuWatch {
    /// The calling thread works for the session until it ends.
    pub fn enter(&self, stage: Stage) {
        let id = rustix::thread::gettid().as_raw_nonzero().get();
        if let Some(wanted) = wanted(id) {
            self.threads.lock().all.push(Thread { stage, id, wanted });
        }
    }

    /// A sample by its lane's thread: what processors held up is taken from what it was counted as. Nothing holds up a lane
    /// that rests.
    pub fn attribute(&self, sample: &mut PathSample, rests: bool) {
        let mut lanes = self.told.lock();
        let known = lanes.contains_key(&sample.lane);
        let told = lanes.entry(sample.lane).or_default();
        let new = match rests {
            true => LimitedTimes::default(),
            false => saturating_sub(&sample.limited, &told.given),
        };
        let moved = moved(&new, self.saturated.load(Ordering::Relaxed));
        told.given = sample.limited;
        told.passed = sum(&told.passed, &moved);
        sample.limited = told.passed;
        let others = moved.application_ns + new.receiver_ns + new.pacing_ns + moved.congestion_ns;
        if moved.cpu_ns > 0 && moved.cpu_ns >= others {
            sample.limited_by = LimitedBy::Cpu;
        }
        drop(lanes);
        if !known {
            self.enter(Stage::Lane);
        }
        self.look(Instant::now());
    }

    /// One of the lanes looks; the others need not wait for it.
    fn look(&self, now: Instant) {
        let Some(mut threads) = self.threads.try_lock() else {
            return;
        };
        let Some(before) = threads.at.replace(now) else {
            return;
        };
        let span = now.saturating_duration_since(before);
        if span < LOOK {
            threads.at = Some(before);
            return;
        }
        let mut shares = Vec::with_capacity(threads.all.len());
        threads.all.retain_mut(|thread| {
            let Some(wanted) = wanted(thread.id) else {
                return false;
            };
            let share = wanted.saturating_sub(thread.wanted).as_secs_f64() / span.as_secs_f64();
            thread.wanted = wanted;
            shares.push((thread.stage, share));
            true
        });
        self.saturated.store(saturated(&shares), Ordering::Relaxed);
    }
}

/// Time that a thread of this process has been running, or runnable.
fn wanted(thread: i32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    let (running, waiting) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(Duration::from_nanos(running + waiting))
}

/// Lanes and writers share their work, so all of them are busy when they hold it up; of readers one may have it all (a pipe).
fn saturated(shares: &[(Stage, f64)]) -> u8 {
    let of = |stage| shares.iter().filter(move |s| s.0 == stage).map(|s| s.1);
    let mean = |stage| of(stage).sum::<f64>() / of(stage).count().max(1) as f64;
    let lanes = mean(Stage::Lane) >= SATURATED;
    let beside = mean(Stage::Writer) >= SATURATED || of(Stage::Reader).any(|s| s >= SATURATED);
    u8::from(lanes) * LANES + u8::from(beside) * BESIDE_LANES
}

/// A lane that had nothing to send waited for this side's threads, if those were saturated. One that is saturated itself sends
/// no faster, whatever its congestion controller has concluded from that.
fn moved(new: &LimitedTimes, saturated: u8) -> LimitedTimes {
    let mut moved = *new;
    if saturated != 0 {
        moved.cpu_ns += std::mem::take(&mut moved.application_ns);
    }
    if saturated & LANES != 0 {
        moved.cpu_ns += std::mem::take(&mut moved.congestion_ns);
    }
    moved
}

fn each(a: &LimitedTimes, b: &LimitedTimes, of: fn(u64, u64) -> u64) -> LimitedTimes {
    LimitedTimes {
        application_ns: of(a.application_ns, b.application_ns),
        cpu_ns: of(a.cpu_ns, b.cpu_ns),
        congestion_ns: of(a.congestion_ns, b.congestion_ns),
        receiver_ns: of(a.receiver_ns, b.receiver_ns),
        pacing_ns: of(a.pacing_ns, b.pacing_ns),
    }
}

fn saturating_sub(a: &LimitedTimes, b: &LimitedTimes) -> LimitedTimes {
    each(a, b, u64::saturating_sub)
}

fn sum(a: &LimitedTimes, b: &LimitedTimes) -> LimitedTimes {
    each(a, b, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: LimitedTimes = LimitedTimes {
        application_ns: 10,
        cpu_ns: 1,
        congestion_ns: 20,
        receiver_ns: 30,
        pacing_ns: 40,
    };

    #[test]
    fn what_moves_is_what_busy_threads_can_have_held_up() {
        assert_eq!(moved(&NEW, 0), NEW);
        let beside = moved(&NEW, BESIDE_LANES);
        assert_eq!(
            (beside.cpu_ns, beside.application_ns, beside.congestion_ns),
            (11, 0, 20)
        );
        let lanes = moved(&NEW, LANES);
        assert_eq!(
            (lanes.cpu_ns, lanes.receiver_ns, lanes.pacing_ns),
            (31, 30, 40)
        );
    }

    #[test]
    fn a_stage_is_saturated_when_it_could_do_no_more() {
        use Stage::{Lane, Reader, Writer};
        assert_eq!(saturated(&[]), 0);
        assert_eq!(
            saturated(&[(Lane, 0.99), (Lane, 0.2), (Writer, 0.99), (Writer, 0.1)]),
            0
        );
        assert_eq!(
            saturated(&[(Lane, 0.9), (Lane, 0.95), (Reader, 0.5)]),
            LANES
        );
        assert_eq!(
            saturated(&[(Lane, 0.3), (Reader, 0.1), (Reader, 0.97)]),
            BESIDE_LANES
        );
        assert_eq!(
            saturated(&[(Lane, 1.0), (Writer, 1.0)]),
            LANES | BESIDE_LANES
        );
    }

    /// Counters of a lane, of which a wrong clock would show in the sums.
    fn given(watch: &CpuWatch, application_ns: u64) -> PathSample {
        let mut sample = PathSample::default();
        sample.limited.application_ns = application_ns;
        watch.attribute(&mut sample, false);
        sample
    }

    #[test]
    fn a_lane_that_rests_is_held_up_by_nothing() {
        let watch = CpuWatch::default();
        let mut resting = PathSample::default();
        resting.limited.application_ns = 100;
        watch.attribute(&mut resting, true);
        assert_eq!(resting.limited, LimitedTimes::default());
        assert_eq!(given(&watch, 250).limited.application_ns, 150);
    }

    #[test]
    fn times_stay_whole_while_the_cause_changes() {
        let watch = CpuWatch::default();
        assert_eq!(given(&watch, 100).limited.application_ns, 100);
        watch.saturated.store(LANES, Ordering::Relaxed);
        let busy = given(&watch, 250);
        assert_eq!(busy.limited_by, LimitedBy::Cpu);
        assert_eq!(
            (busy.limited.application_ns, busy.limited.cpu_ns),
            (100, 150)
        );
        watch.saturated.store(0, Ordering::Relaxed);
        let after = given(&watch, 300);
        assert_eq!(after.limited_by, LimitedBy::Application);
        assert_eq!(
            (after.limited.application_ns, after.limited.cpu_ns),
            (150, 150)
        );
    }

    /// Looks until the verdict on a thread that runs `work` is `expected`.
    fn verdict(work: fn(), expected: u8) {
        let watch = std::sync::Arc::new(CpuWatch::default());
        let (of_thread, stop) = (watch.clone(), std::sync::Arc::new(AtomicU8::new(0)));
        let until = stop.clone();
        let thread = std::thread::spawn(move || {
            of_thread.enter(Stage::Reader);
            while until.load(Ordering::Relaxed) == 0 {
                work();
            }
        });
        watch.look(Instant::now());
        watch.saturated.store(u8::MAX, Ordering::Relaxed);
        let mut looks = 0;
        while watch.saturated.load(Ordering::Relaxed) != expected && looks < 100 {
            std::thread::sleep(LOOK * 2);
            watch.look(Instant::now());
            looks += 1;
        }
        stop.store(1, Ordering::Relaxed);
        thread.join().unwrap();
        assert_eq!(watch.saturated.load(Ordering::Relaxed), expected);
    }

    #[test]
    fn a_thread_that_computes_is_told_from_one_that_waits() {
        verdict(std::hint::spin_loop, BESIDE_LANES);
        verdict(|| std::thread::sleep(Duration::from_millis(20)), 0);
    }
}
