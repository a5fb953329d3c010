//! Every model, in every order of its threads with at most [`PREEMPTIONS`] of them interrupted.

use std::sync::Arc;
use std::time::Duration;

use loom::model::Builder;
use loom::thread;
use parking_lot::{Condvar, Mutex};
use pb_loom::{budget, gate, inbox, lanes, outbox};

/// Most faults of this kind need two.
const PREEMPTIONS: usize = 3;

fn check(model: fn()) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.max_branches = 10_000;
    builder.check(model);
}

#[test]
fn a_writer_at_the_gate_hears_of_room() {
    check(gate::a_writer_hears_of_room);
}

#[test]
fn the_end_of_a_job_waits_for_its_writers() {
    check(gate::the_end_waits_for_writers);
}

/// The gate as it once was: it looked before it locked, and told without a lock.
struct Careless {
    busy: Mutex<usize>,
    changed: Condvar,
}

fn careless() {
    let gate = Arc::new(Careless {
        busy: Mutex::new(0),
        changed: Condvar::new(),
    });
    let queued = Arc::new(Mutex::new(1));
    let writer = {
        let (gate, queued) = (Arc::clone(&gate), Arc::clone(&queued));
        thread::spawn(move || {
            while *queued.lock() > 0 {
                let look = Duration::from_millis(50);
                gate.changed.wait_for(&mut gate.busy.lock(), look);
            }
        })
    };
    *queued.lock() -= 1;
    gate.changed.notify_all();
    writer.join().unwrap();
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_is_lost_would_be_found() {
    check(careless);
}

#[test]
fn takers_of_a_budget_get_their_turn() {
    check(budget::takers_get_their_turn);
}

#[test]
fn a_shortened_buffer_makes_room() {
    check(budget::a_shortened_buffer_makes_room);
}

#[test]
fn a_call_to_a_lane_is_heard_and_rings_no_longer() {
    check(lanes::a_call_is_heard_and_rings_no_longer);
}

#[test]
fn two_calls_to_a_lane_are_heard() {
    check(lanes::two_calls_are_heard);
}

#[test]
fn a_sleeping_lane_hears_its_order() {
    check(lanes::a_sleeping_lane_hears_its_order);
}

#[test]
fn a_lane_hears_of_data_and_credit() {
    check(outbox::a_lane_hears_of_data_and_credit);
}

#[test]
fn a_reader_hears_of_room() {
    check(outbox::a_reader_hears_of_room);
}

#[test]
fn a_reader_hears_of_the_end() {
    check(outbox::a_reader_hears_of_the_end);
}

#[test]
fn credit_that_comes_back_is_announced() {
    check(inbox::credit_that_comes_back_is_announced);
}
