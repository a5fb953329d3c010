//! Units that wait for a lane, the peer's credit, and the user's rate limit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::limiter::Limiter;
use crate::transport::{LaneId, Next, OutBody, OutUnit, Waker};

/// Data units queued ahead of the lanes; more would only hold memory and spoil the cache.
const QUEUED_UNITS: usize = 24;

/// Which bytes a unit of data holds.
#[derive(Clone, Copy)]
pub struct Span {
    pub job: u32,
    pub file: u32,
    pub offset: u64,
}

impl Span {
    fn is_before(&self, other: &Span) -> bool {
        (self.job, self.file) == (other.job, other.file) && self.offset < other.offset
    }
}

struct Data {
    span: Option<Span>,
    unit: Arc<OutUnit>,
}

/// See the module.
pub struct Outbox {
    state: Mutex<State>,
    room: Condvar,
}

struct State {
    /// Taken back from a lane that died; their credit is paid.
    again: VecDeque<Arc<OutUnit>>,
    messages: VecDeque<Arc<OutUnit>>,
    data: VecDeque<Data>,
    next_id: u32,
    /// Units that lanes hold: pulled, not acknowledged, not given back.
    pulled: usize,
    /// Bytes of units started.
    started: u64,
    /// The peer's cumulative grant.
    grant: u64,
    limiter: Option<Limiter>,
    /// Lanes that found nothing to send and sleep, by bit.
    idle: u64,
    wakers: Vec<(LaneId, Arc<Waker>)>,
    closed: bool,
}

impl Outbox {
    /// An empty outbox; `limit` in bytes per second, 0 for none.
    pub fn new(limit: u64) -> Outbox {
        let state = State {
            again: VecDeque::new(),
            messages: VecDeque::new(),
            data: VecDeque::new(),
            next_id: 0,
            pulled: 0,
            started: 0,
            grant: 0,
            limiter: (limit > 0).then(|| Limiter::new(limit, Instant::now())),
            idle: 0,
            wakers: Vec::new(),
            closed: false,
        };
        Outbox {
            state: Mutex::new(state),
            room: Condvar::new(),
        }
    }

    /// Queues feedback; never waits.
    pub fn push_message(&self, len: u32, body: OutBody) {
        let mut s = self.state.lock();
        if s.closed {
            return;
        }
        let unit = s.unit(len, body, true);
        s.messages.push_back(unit);
        s.wake_idle();
    }

    /// Queues data; waits while the queue is full, until there is room, or the session or (`stop`) the job ends. What waits of
    /// one file leaves in the order of its offsets, whichever reader was first: receivers that write in order, or in large
    /// blocks, have something whole sooner, and so does who is cut off.
    pub fn push_data(
        &self,
        len: u32,
        (body, span): (OutBody, Option<Span>),
        stop: &dyn Fn() -> bool,
    ) {
        let mut s = self.state.lock();
        while s.data.len() >= QUEUED_UNITS && !s.closed {
            self.room.wait_for(&mut s, Duration::from_millis(100));
            if MutexGuard::unlocked(&mut s, stop) {
                return;
            }
        }
        if s.closed {
            return;
        }
        let unit = s.unit(len, body, false);
        let behind = |span: &Span| {
            let later = |d: &Data| d.span.is_some_and(|there| span.is_before(&there));
            s.data.iter().position(later)
        };
        let at = span.as_ref().and_then(behind).unwrap_or(s.data.len());
        s.data.insert(at, Data { span, unit });
        s.wake_idle();
    }

    /// The next unit for a lane, its credit taken.
    pub fn next(&self, lane: LaneId) -> Next {
        let mut s = self.state.lock();
        let next = s.next(Instant::now());
        match next {
            Next::Unit(_) => {
                s.pulled += 1;
                if s.data.len() == QUEUED_UNITS / 2 {
                    self.room.notify_all();
                }
            }
            _ => s.idle |= 1 << lane,
        }
        next
    }

    /// The peer has a unit whole.
    pub fn acked(&self) {
        let mut s = self.state.lock();
        s.pulled = s.pulled.saturating_sub(1);
    }

    /// Everything that was ever to be sent has arrived.
    pub fn is_settled(&self) -> bool {
        let s = self.state.lock();
        s.pulled == 0 && s.again.is_empty() && s.messages.is_empty() && s.data.is_empty()
    }

    /// A larger grant of the peer, in any order.
    pub fn raise_grant(&self, grant: u64) {
        let mut s = self.state.lock();
        if grant > s.grant {
            s.grant = grant;
            s.wake_idle();
        }
    }

    pub fn add_waker(&self, lane: LaneId, waker: Arc<Waker>) {
        let mut s = self.state.lock();
        s.wakers.push((lane, waker));
    }

    /// Forgets a lane; its unfinished units go to the others.
    pub fn remove_lane(&self, lane: LaneId, unfinished: Vec<Arc<OutUnit>>) {
        let mut s = self.state.lock();
        s.wakers.retain(|(l, _)| *l != lane);
        s.idle &= !(1 << lane);
        s.pulled = s.pulled.saturating_sub(unfinished.len());
        s.again.extend(unfinished);
        s.wake_idle();
    }

    /// Wakes one lane, to announce a grant.
    pub fn wake_one(&self) {
        if let Some((_, waker)) = self.state.lock().wakers.first() {
            waker.wake();
        }
    }

    /// Drops what waits and lets every waiter go.
    pub fn close(&self) {
        let mut s = self.state.lock();
        s.closed = true;
        s.again.clear();
        s.messages.clear();
        s.data.clear();
        self.room.notify_all();
    }
}

impl State {
    fn unit(&mut self, len: u32, body: OutBody, always_sealed: bool) -> Arc<OutUnit> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        Arc::new(OutUnit {
            id,
            len,
            always_sealed,
            body,
        })
    }

    fn next(&mut self, now: Instant) -> Next {
        if let Some(unit) = self.again.pop_front() {
            return Next::Unit(unit);
        }
        let (unit, limited) = match (self.messages.front(), self.data.front()) {
            (Some(unit), _) => (unit, false),
            (None, Some(Data { unit, .. })) => (unit, true),
            (None, None) => return Next::Idle,
        };
        let len = u64::from(unit.len);
        if self.started + len > self.grant {
            return Next::NoCredit;
        }
        if let Some(limiter) = self.limiter.as_mut().filter(|_| limited)
            && let Err(retry_ns) = limiter.take(len, now)
        {
            return Next::Limited { retry_ns };
        }
        self.started += len;
        let unit = match limited {
            false => self.messages.pop_front(),
            true => self.data.pop_front().map(|data| data.unit),
        };
        unit.map_or(Next::Idle, Next::Unit)
    }

    fn wake_idle(&mut self) {
        for (lane, waker) in &self.wakers {
            if self.idle & (1 << lane) != 0 {
                waker.wake();
            }
        }
        self.idle = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Budget;

    fn body(len: usize) -> OutBody {
        OutBody::Memory(Budget::new(1 << 20).try_take(len).unwrap())
    }

    #[test]
    fn credit_bounds_what_starts() {
        let o = Outbox::new(0);
        o.push_data(100, (body(100), None), &|| false);
        assert!(matches!(o.next(0), Next::NoCredit));
        o.raise_grant(99);
        assert!(matches!(o.next(0), Next::NoCredit));
        o.raise_grant(100);
        assert!(matches!(o.next(0), Next::Unit(u) if u.id == 0));
        assert!(matches!(o.next(0), Next::Idle));
    }

    #[test]
    fn messages_go_first_and_requeued_units_before_them_without_credit() {
        let o = Outbox::new(0);
        o.raise_grant(200);
        o.push_data(100, (body(100), None), &|| false);
        let Next::Unit(first) = o.next(1) else {
            panic!("a unit")
        };
        o.push_data(50, (body(50), None), &|| false);
        o.push_message(50, body(50));
        o.remove_lane(1, vec![first]);
        let order: Vec<u32> = std::iter::from_fn(|| match o.next(0) {
            Next::Unit(u) => Some(u.id),
            _ => None,
        })
        .collect();
        assert_eq!(order, [0, 2, 1]);
    }

    #[test]
    fn what_waits_of_one_file_leaves_in_its_order() {
        let o = Outbox::new(0);
        o.raise_grant(1000);
        let push = |file, offset| {
            let span = Span {
                job: 1,
                file,
                offset,
            };
            o.push_data(1, (body(1), Some(span)), &|| false);
        };
        push(7, 30);
        push(8, 10);
        o.push_data(1, (body(1), None), &|| false);
        push(7, 10);
        push(8, 20);
        push(7, 20);
        let order: Vec<u32> = std::iter::from_fn(|| match o.next(0) {
            Next::Unit(u) => Some(u.id),
            _ => None,
        })
        .collect();
        assert_eq!(order, [3, 5, 0, 1, 2, 4]);
    }

    #[test]
    fn it_is_settled_when_every_unit_was_acknowledged() {
        let o = Outbox::new(0);
        assert!(o.is_settled());
        o.raise_grant(100);
        o.push_message(50, body(50));
        assert!(!o.is_settled());
        let Next::Unit(unit) = o.next(0) else {
            panic!("a unit")
        };
        assert!(!o.is_settled());
        o.remove_lane(0, vec![unit]);
        assert!(!o.is_settled());
        assert!(matches!(o.next(1), Next::Unit(_)));
        o.acked();
        assert!(o.is_settled());
    }

    #[test]
    fn an_idle_lane_is_woken_by_a_push() {
        let o = Outbox::new(0);
        let waker = Arc::new(Waker::new().unwrap());
        o.add_waker(3, Arc::clone(&waker));
        assert!(matches!(o.next(3), Next::Idle));
        o.push_message(1, body(1));
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(&*waker, &mut count), Ok(8));
    }
}
