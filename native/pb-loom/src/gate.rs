//! Writers and the committer at the gate.

use std::sync::Arc;

use loom::thread;
use parking_lot::Mutex;

#[path = "../../pb-io/src/recv/gate.rs"]
mod source;
use source::Gate;

/// The committer makes room just as a writer has seen that there is none.
pub fn a_writer_hears_of_room() {
    let (gate, queued) = (Arc::new(Gate::default()), Arc::new(Mutex::new(1)));
    let writer = {
        let (gate, queued) = (Arc::clone(&gate), Arc::clone(&queued));
        thread::spawn(move || gate.wait_while(|| *queued.lock() > 0))
    };
    *queued.lock() -= 1;
    gate.room();
    writer.join().unwrap();
}

/// The end of a job waits for writers that come and go, and not for ever.
pub fn the_end_waits_for_writers() {
    let gate = Arc::new(Gate::default());
    let writers = [(); 2].map(|()| {
        let gate = Arc::clone(&gate);
        thread::spawn(move || drop(gate.enter()))
    });
    gate.wait_idle();
    for writer in writers {
        writer.join().unwrap();
    }
    gate.wait_idle();
}
