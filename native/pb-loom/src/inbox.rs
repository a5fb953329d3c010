//! Writers that give credit back, and the lane that tells the peer.

use std::sync::Arc;

use loom::thread;
use parking_lot::{Condvar, Mutex};
use pb_proto::units::MAX_UNIT;

use crate::transport::Place;

#[path = "../../pb-io/src/session/inbox.rs"]
mod source;
use source::{Inbox, MIN_WINDOW};

/// The peer has used all that it was granted; two writers are done at once. It hears of a larger grant, and may use it.
pub fn credit_that_comes_back_is_announced() {
    let inbox = Arc::new(Inbox::new(MIN_WINDOW));
    let announced = Arc::new((Mutex::new(false), Condvar::new()));
    for id in [0, 1] {
        assert!(matches!(inbox.place(id, MAX_UNIT), Ok(Place::Into(_))));
    }
    let writers = [0, 1].map(|id| {
        let (inbox, announced) = (Arc::clone(&inbox), Arc::clone(&announced));
        thread::spawn(move || {
            inbox.complete(id);
            if inbox.release(MAX_UNIT) {
                *announced.0.lock() = true;
                announced.1.notify_all();
            }
        })
    });
    let mut told = announced.0.lock();
    while !*told {
        announced.1.wait(&mut told);
    }
    drop(told);
    assert!(inbox.grant() >= MIN_WINDOW + u64::from(MAX_UNIT));
    assert!(matches!(inbox.place(2, MAX_UNIT), Ok(Place::Into(_))));
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(inbox.grant(), 2 * MIN_WINDOW);
}
