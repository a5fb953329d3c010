//! Readers, the peer's grants, and a lane at the outbox.

use std::sync::Arc;

use loom::thread;

use crate::buffer::Budget;
use crate::transport::{Next, OutBody, Waker, sleep};

#[path = "../../pb-io/src/session/limiter.rs"]
mod limiter;
#[path = "../../pb-io/src/session/outbox.rs"]
mod source;
use source::Outbox;

/// As in the outbox.
const QUEUED_UNITS: usize = 24;
const LANE: u8 = 0;
const LEN: u32 = 1;

fn body(budget: &Budget) -> OutBody {
    OutBody::Memory(budget.try_take(LEN as usize).unwrap())
}

/// A lane takes `units` of them, asleep where there are none.
fn take(outbox: &Outbox, waker: &Waker, units: usize) {
    let mut taken = 0;
    while taken < units {
        match outbox.next(LANE) {
            Next::Unit(_) => taken += 1,
            _ => sleep(waker),
        }
    }
}

/// A lane finds nothing, or no credit, just as data and a grant come.
pub fn a_lane_hears_of_data_and_credit() {
    let (outbox, budget) = (Arc::new(Outbox::new(0)), Budget::new(1000));
    let waker = Arc::new(Waker::new().unwrap());
    outbox.add_waker(LANE, Arc::clone(&waker));
    let (pushes, grants) = (Arc::clone(&outbox), Arc::clone(&outbox));
    let reader = thread::spawn(move || pushes.push_data(LEN, (body(&budget), None), &|| false));
    let peer = thread::spawn(move || grants.raise_grant(LEN.into()));
    take(&outbox, &waker, 1);
    reader.join().unwrap();
    peer.join().unwrap();
}

/// A reader finds the queue full while the lane takes from it.
pub fn a_reader_hears_of_room() {
    let (outbox, budget) = (Arc::new(Outbox::new(0)), Budget::new(1000));
    let waker = Arc::new(Waker::new().unwrap());
    outbox.add_waker(LANE, Arc::clone(&waker));
    outbox.raise_grant(u64::MAX / 2);
    for _ in 0..QUEUED_UNITS {
        outbox.push_data(LEN, (body(&budget), None), &|| false);
    }
    let pushes = Arc::clone(&outbox);
    let reader = thread::spawn(move || pushes.push_data(LEN, (body(&budget), None), &|| false));
    take(&outbox, &waker, QUEUED_UNITS + 1);
    reader.join().unwrap();
}

/// The session ends while a reader waits for room.
pub fn a_reader_hears_of_the_end() {
    let (outbox, budget) = (Arc::new(Outbox::new(0)), Budget::new(1000));
    for _ in 0..QUEUED_UNITS {
        outbox.push_data(LEN, (body(&budget), None), &|| false);
    }
    let pushes = Arc::clone(&outbox);
    let reader = thread::spawn(move || pushes.push_data(LEN, (body(&budget), None), &|| false));
    outbox.close();
    reader.join().unwrap();
}
