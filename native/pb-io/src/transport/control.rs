//! What the owner of a set of lanes and the lanes' threads share: orders down, the end of threads up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Waker;
use crate::sync::{AtomicU8, Ordering};

/// The lanes of one session and one transport. Dropping it closes them.
pub struct LaneSet {
    control: Arc<Control>,
    at_end: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// Close code of a session that ends because its owner let go of it.
pub const CLOSE_NORMAL: u64 = 0;

impl LaneSet {
    pub(crate) fn new(control: Arc<Control>, at_end: Option<Box<dyn FnOnce() + Send>>) -> LaneSet {
        LaneSet {
            control,
            at_end: Mutex::new(at_end),
        }
    }

    /// Lets every lane send what its session still has, say LANE_DONE and end; lanes that have not ended when
    /// `timeout` is over are closed. True when all ended by themselves. Not to be called from a lane's thread.
    pub fn finish(&self, timeout: Duration) -> bool {
        self.control.order(Order::Finish);
        let ended = self.control.wait(Instant::now() + timeout);
        if !ended {
            self.close(CLOSE_NORMAL, "not finished in time");
            self.control.wait(Instant::now() + CLOSE_GRACE);
        }
        self.end();
        ended
    }

    /// Sends CLOSE and ends every lane; what is not acknowledged goes back to the session. Returns at once.
    pub fn close(&self, code: u64, reason: &str) {
        self.control.order(Order::Close {
            code,
            reason: reason.to_owned(),
        });
        self.end();
    }

    /// Closes every lane and waits until CLOSE has left: a few milliseconds over UDP. Not to be called from a lane's thread.
    pub fn leave(&self) {
        self.leave_at_once();
        self.control.wait(Instant::now() + LEAVE);
    }

    /// Closes every lane without waiting, also while [`finish`](Self::finish) waits, which then ends.
    pub fn leave_at_once(&self) {
        self.close(CLOSE_NORMAL, "done");
    }

    /// How many lanes have a thread now.
    pub fn alive(&self) -> usize {
        self.control.alive()
    }

    fn end(&self) {
        if let Some(f) = self.at_end.lock().take() {
            f();
        }
    }
}

impl Drop for LaneSet {
    fn drop(&mut self) {
        self.close(CLOSE_NORMAL, "session closed");
    }
}

/// How long `finish` waits for closed lanes to leave.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// How long `leave` waits for that: a TCP lane whose socket is full needs longer, and says it all the same.
const LEAVE: Duration = Duration::from_millis(100);

/// What the lanes of a set are to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    Finish,
    Close { code: u64, reason: String },
}

impl Order {
    fn rank(&self) -> u8 {
        match self {
            Order::Run => 0,
            Order::Finish => 1,
            Order::Close { .. } => 2,
        }
    }
}

struct State {
    order: Order,
    alive: usize,
    wakers: Vec<Arc<Waker>>,
}

/// The shared part of a [`LaneSet`].
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
    /// Rank of the order, so that lanes look without a lock.
    rank: AtomicU8,
}

impl Control {
    pub(crate) fn new() -> Arc<Control> {
        let state = State {
            order: Order::Run,
            alive: 0,
            wakers: Vec::new(),
        };
        Arc::new(Control {
            state: Mutex::new(state),
            changed: Condvar::new(),
            rank: AtomicU8::new(0),
        })
    }

    /// Gives an order; only a stronger one replaces the present one.
    pub(crate) fn order(&self, order: Order) {
        let mut state = self.state.lock();
        if order.rank() > state.order.rank() {
            self.rank.store(order.rank(), Ordering::Release);
            state.order = order;
        }
        state.wakers.iter().for_each(|w| w.wake());
    }

    /// The order in force.
    pub(crate) fn current(&self) -> Order {
        match self.rank.load(Ordering::Acquire) {
            0 => Order::Run,
            1 => Order::Finish,
            _ => self.state.lock().order.clone(),
        }
    }

    /// True once the set is being closed.
    pub(crate) fn closing(&self) -> bool {
        self.rank.load(Ordering::Acquire) == 2
    }

    /// How many lanes have a thread now.
    pub(crate) fn alive(&self) -> usize {
        self.state.lock().alive
    }

    /// Counts a lane thread in; the guard counts it out, also when the thread panics.
    pub(crate) fn enter(self: &Arc<Self>, waker: Arc<Waker>) -> Entered {
        let mut state = self.state.lock();
        state.alive += 1;
        state.wakers.push(waker.clone());
        Entered {
            control: self.clone(),
            waker,
            left: false,
        }
    }

    fn wait(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.alive > 0 {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return state.alive == 0;
            }
        }
        true
    }
}

/// A lane thread that is counted in its set.
pub(crate) struct Entered {
    control: Arc<Control>,
    waker: Arc<Waker>,
    left: bool,
}

impl Entered {
    pub(crate) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }
    pub(crate) fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Counts the thread out before its end: what it still does concerns nobody here.
    pub(crate) fn leave(&mut self) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        let mut state = self.control.state.lock();
        state.alive -= 1;
        state.wakers.retain(|w| !Arc::ptr_eq(w, &self.waker));
        drop(state);
        self.control.changed.notify_all();
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_order_replaces_a_weaker_one_only() {
        let control = Control::new();
        control.order(Order::Close {
            code: 3,
            reason: "x".into(),
        });
        control.order(Order::Finish);
        assert_eq!(
            control.current(),
            Order::Close {
                code: 3,
                reason: "x".into()
            }
        );
    }

    #[test]
    fn finish_waits_for_the_threads() {
        let control = Control::new();
        let entered = control.enter(Arc::new(Waker::new().unwrap()));
        let set = LaneSet::new(control, None);
        assert_eq!(set.alive(), 1);
        let thread = std::thread::spawn(move || {
            while entered.control().current() == Order::Run {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        assert!(set.finish(Duration::from_secs(5)));
        assert_eq!(set.alive(), 0);
        thread.join().unwrap();
    }
}
