//! Two sessions of one process joined without a wire: the way of local to local copies.

use std::sync::Arc;
use std::thread;

use pb_proto::sample::{LimitedBy, PathSample};
use pb_proto::time::Instant;

use super::Session;
use crate::copies::Step;
use crate::transport::sampled::is_sample_due;
use crate::transport::{
    InUnit, LaneHost, Next, OutBody, OutUnit, Place, TransportKind, Waker, monotonic,
};

/// The only lane.
const LANE: u8 = 0;

/// Joins `a` and `b`; each direction has a thread until either session ends.
pub fn join(a: &Arc<Session>, b: &Arc<Session>) -> std::io::Result<()> {
    let (wake_a, wake_b) = (Arc::new(Waker::new()?), Arc::new(Waker::new()?));
    a.lane_up(LANE, TransportKind::Memory, Arc::clone(&wake_a));
    b.lane_up(LANE, TransportKind::Memory, Arc::clone(&wake_b));
    a.peer_grant(b.grant());
    b.peer_grant(a.grant());
    spawn(Arc::clone(a), Arc::clone(b), wake_a)?;
    spawn(Arc::clone(b), Arc::clone(a), wake_b)
}

fn spawn(from: Arc<Session>, to: Arc<Session>, waker: Arc<Waker>) -> std::io::Result<()> {
    thread::Builder::new()
        .name("pb-memory".into())
        .spawn(move || carry(&from, &to, &waker))?;
    Ok(())
}

fn carry(from: &Arc<Session>, to: &Arc<Session>, waker: &Waker) {
    let mut held = Held::new(monotonic());
    while !from.has_ended() && !to.has_ended() {
        from.peer_grant(to.grant());
        to.peer_grant(from.grant());
        let by = match from.next_unit(LANE) {
            Next::Unit(unit) => {
                deliver(to, unit);
                LimitedBy::Cpu
            }
            Next::Limited { retry_ns } => {
                sleep(waker, retry_ns);
                LimitedBy::Pacing
            }
            Next::NoCredit => {
                sleep(waker, LOOK_NS);
                LimitedBy::Receiver
            }
            Next::Idle => {
                sleep(waker, LOOK_NS);
                LimitedBy::Application
            }
        };
        held.by(by, monotonic(), from);
    }
    from.end(None);
    to.end(None);
}

/// What a direction was held up by: there is no path, so whatever is neither end's is the carrying itself.
struct Held {
    sample: PathSample,
    /// At the last sample.
    before: PathSample,
    since: Instant,
    sampled: Instant,
}

impl Held {
    fn new(now: Instant) -> Held {
        let sample = PathSample {
            lane: LANE,
            ..PathSample::default()
        };
        Held {
            sample,
            before: sample,
            since: now,
            sampled: now,
        }
    }

    /// The time up to `now` went so; the session hears of it now and then.
    fn by(&mut self, by: LimitedBy, now: Instant, session: &Session) {
        self.sample.limited.add(by, now.since(self.since));
        self.since = now;
        if is_sample_due(session, self.sampled, now) {
            self.sampled = now;
            self.sample.limited_by = self.sample.limited.most_since(&self.before.limited);
            self.before = self.sample;
            session.attributed(LANE, self.sample);
        }
    }
}

/// The ends are looked at this often, nanoseconds.
const LOOK_NS: u64 = 100_000_000;

/// Until woken (feedback does not wait for a rate limit), at most [`LOOK_NS`].
fn sleep(waker: &Waker, most_ns: u64) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(waker, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: most_ns.min(LOOK_NS) as i64,
    };
    let _ = poll(&mut fds, Some(&timeout));
    waker.clear();
}

fn deliver(to: &Arc<Session>, unit: Arc<OutUnit>) {
    let Ok(Place::Into(place)) = to.place(unit.id, unit.len) else {
        return;
    };
    to.copies.add(Step::Place, fill(&place, unit));
    to.unit_complete(LANE, place);
}

/// Returns how many bytes were copied: none, where nobody else has the unit.
fn fill(place: &InUnit, unit: Arc<OutUnit>) -> usize {
    let mut state = place.state.lock();
    match Arc::try_unwrap(unit) {
        Ok(OutUnit {
            body: OutBody::Memory(buffer),
            ..
        }) => state.buffer = Some(buffer),
        Ok(_) => state.buffer = None,
        Err(unit) => {
            if let (OutBody::Memory(from), Some(to)) = (&unit.body, state.buffer.as_mut()) {
                to.as_mut_slice().copy_from_slice(from.as_slice());
                return from.len();
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use pb_proto::message::{LIST_TRAILER, bundle_trailer};

    use super::super::{SessionOptions, Stage};
    use super::*;
    use crate::buffer::Budget;

    fn joined(limit: u64) -> (Arc<Session>, Arc<Session>) {
        let options = |limit| SessionOptions {
            memory: 8 << 20,
            limit,
            seal: false,
        };
        let (a, b) = (Session::new(options(limit)), Session::new(options(0)));
        let (a, b) = (a.unwrap(), b.unwrap());
        join(&a, &b).unwrap();
        (a, b)
    }

    /// Waits for a sample of the sending side that blames this.
    fn blames(session: &Session, by: LimitedBy) {
        let blamed = || session.samples().iter().any(|s| s.limited_by == by);
        let looks = std::iter::repeat_n((), 1000);
        let seen = looks.into_iter().any(|()| {
            thread::sleep(Duration::from_millis(10));
            blamed()
        });
        assert!(seen, "{by:?}: {:?}", session.samples());
    }

    #[test]
    fn a_copy_within_a_process_says_what_holds_it_up() {
        let (a, b) = joined(100_000);
        blames(&a, LimitedBy::Application);
        let (len, budget) = (200_000, Budget::new(1 << 20));
        // A bundle of a job that is not there is let be, unread: zeros as notes would end the session.
        let body = || {
            let mut unit = budget.try_take(len).unwrap();
            unit.as_mut_slice()[len - LIST_TRAILER..].copy_from_slice(&bundle_trailer(1));
            OutBody::Memory(unit)
        };
        (0..2).for_each(|_| a.outbox.push_data(len as u32, (body(), None), &|| false));
        blames(&a, LimitedBy::Pacing);
        b.end(None);
    }

    #[test]
    fn a_source_that_computes_is_the_processors_fault() {
        let (a, b) = joined(0);
        let (of_thread, stop) = (Arc::clone(&a), Arc::new(AtomicBool::new(false)));
        let until = Arc::clone(&stop);
        let reader = thread::spawn(move || {
            of_thread.cpu.enter(Stage::Reader);
            while !until.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        blames(&a, LimitedBy::Cpu);
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        b.end(None);
    }
}
