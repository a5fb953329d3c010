//! Two sessions of one process joined without a wire: the way of local to local copies.

use std::sync::Arc;
use std::thread;

use super::Session;
use crate::copies::Step;
use crate::transport::{InUnit, LaneHost, Next, OutBody, OutUnit, Place, TransportKind, Waker};

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
    while !from.has_ended() && !to.has_ended() {
        from.peer_grant(to.grant());
        to.peer_grant(from.grant());
        match from.next_unit(LANE) {
            Next::Unit(unit) => deliver(to, unit),
            Next::Limited { retry_ns } => sleep(waker, retry_ns),
            Next::Idle | Next::NoCredit => sleep(waker, LOOK_NS),
        }
    }
    from.end(None);
    to.end(None);
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
