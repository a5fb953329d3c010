//! Lanes, which sleep, and those who wake them.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use crate::sync::{AtomicBool, Ordering};
use crate::transport::control::{Control, LaneSet, Order};
use crate::transport::{Waker, is_rung, sleep};

/// A lane that is up for another reason while it is called: it hears the call, and sleeps afterwards.
pub fn a_call_is_heard_and_rings_no_longer() {
    let (waker, asked) = (
        Arc::new(Waker::new().unwrap()),
        Arc::new(AtomicBool::new(false)),
    );
    let caller = {
        let (waker, asked) = (Arc::clone(&waker), Arc::clone(&asked));
        thread::spawn(move || {
            asked.store(true, Ordering::Relaxed);
            waker.wake();
        })
    };
    // A packet has come.
    waker.clear();
    while !asked.load(Ordering::Relaxed) {
        sleep(&waker);
    }
    caller.join().unwrap();
    waker.clear();
    assert!(!is_rung(&waker), "the lane would spin");
}

/// Two call at once.
pub fn two_calls_are_heard() {
    let waker = Arc::new(Waker::new().unwrap());
    let asked = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let callers = [0, 1].map(|n: usize| {
        let (waker, asked) = (Arc::clone(&waker), Arc::clone(&asked[n]));
        thread::spawn(move || {
            asked.store(true, Ordering::Relaxed);
            waker.wake();
        })
    });
    while !asked.iter().all(|a| a.load(Ordering::Relaxed)) {
        sleep(&waker);
    }
    for caller in callers {
        caller.join().unwrap();
    }
}

/// A set of lanes is told to finish while a lane falls asleep.
pub fn a_sleeping_lane_hears_its_order() {
    let (control, waker) = (Control::new(), Arc::new(Waker::new().unwrap()));
    let mut entered = control.enter(Arc::clone(&waker));
    let lane = thread::spawn(move || {
        while entered.control().current() == Order::Run {
            sleep(&waker);
        }
        entered.leave();
    });
    let set = LaneSet::new(control, None);
    assert!(set.finish(Duration::from_secs(1)));
    assert_eq!(set.alive(), 0);
    lane.join().unwrap();
}
