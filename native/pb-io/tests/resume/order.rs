//! What is said when: no result before its record, nothing recorded that is not durable, and at the end nothing left over.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use pb_io::job::{State, Status, get};
use pb_io::recv::Unfinished;
use pb_io::send::SendJob;

use crate::common::{Scratch, entries, noise, status};
use crate::files::{half_done, same};
use crate::run::{
    CHUNK, Keeper, PATIENCE, Records, SETUP, Setup, recv_options, run, send_options, sessions,
};

/// Both ends of a run whose records the test keeps.
struct Two {
    keeper: Keeper,
    received_status: Arc<Status>,
    sender: Arc<SendJob>,
    sent: std::sync::mpsc::Receiver<State>,
    received: std::sync::mpsc::Receiver<State>,
    _sessions: (Arc<pb_io::session::Session>, Arc<pb_io::session::Session>),
}

fn start(s: &Scratch, setup: &Setup, records: &Records) -> Two {
    let (a, b) = sessions(setup);
    let ((of_sent, sent), (of_received, received)) = (status(), status());
    let options = recv_options(&s.path("b"), setup);
    let received_status = Arc::clone(&of_received);
    let keeper = Keeper::start(&b, (options, setup), of_received, records);
    let send = send_options(&s.path("a"), setup);
    let list = entries(&send.roots[0]);
    let sender = SendJob::start(&a, send, of_sent).unwrap();
    sender.push(list);
    sender.finish();
    Two {
        keeper,
        received_status,
        sender,
        sent,
        received,
        _sessions: (a, b),
    }
}

#[test]
fn no_result_is_said_before_its_record_is_confirmed() {
    let s = Scratch::new();
    (0..20).for_each(|n| fs::write(s.path(&format!("a/f{n}")), noise(2000, n)).unwrap());
    let two = start(&s, &SETUP, &Records::default());
    let counters = &two.sender.status.counters;
    let first = two.keeper.batches.recv_timeout(PATIENCE).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let recorded = first.done.len() / pb_io::recv::checkpoint::DONE_RECORD;
    // All stand under their names, and the sender knows of none; nor is there a second batch.
    assert!(recorded > 0 && (0..20).all(|n| same(&s, &format!("f{n}"))));
    assert_eq!(get(&counters.files), 0);
    assert!(two.keeper.batches.try_recv().is_err());
    two.keeper.job.confirm(first.number + 1);
    two.keeper.job.confirm(first.number);
    two.keeper.keep(u32::MAX);
    assert_eq!(two.sent.recv_timeout(PATIENCE), Ok(State::Done));
    assert_eq!(get(&counters.files), 20);
}

#[test]
fn a_record_that_never_comes_holds_up_the_writers_and_not_the_memory() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), noise(400 * CHUNK as usize, 1)).unwrap();
    let slow = Setup {
        limit: 40 << 20,
        ..SETUP
    };
    let two = start(&s, &slow, &Records::default());
    std::thread::sleep(Duration::from_millis(600));
    let there = get(&two.received_status.counters.bytes);
    // 50 ms of it may be lost; the rest of 24 MB waits in the session's window and behind it.
    assert!(there > slow.flush_bytes && there < 6 << 20, "{there}");
    two.keeper.keep(u32::MAX);
    assert_eq!(two.received.recv_timeout(PATIENCE), Ok(State::Done));
    assert!(same(&s, "x"));
}

#[test]
fn a_pause_records_what_was_written_and_a_cancel_removes_it() {
    for (unfinished, kept) in [(Unfinished::Keep, true), (Unfinished::Remove, false)] {
        let s = Scratch::new();
        fs::write(s.path("a/x"), noise(300 * CHUNK as usize, 1)).unwrap();
        let slow = Setup {
            limit: 40 << 20,
            flush_bytes: 1 << 30,
            flush: Duration::from_millis(200),
            ..SETUP
        };
        let two = start(&s, &slow, &Records::default());
        two.keeper.keep(1);
        std::thread::sleep(Duration::from_millis(40));
        let before = two.keeper.records().durable();
        two.keeper.job.abort("paused", unfinished);
        two.keeper.keep(u32::MAX);
        assert_eq!(two.received.recv_timeout(PATIENCE), Ok(State::Aborted));
        let mut records = two.keeper.records();
        assert_eq!(
            (records.parts.len(), s.parts().len()),
            (kept.into(), kept.into())
        );
        if kept {
            assert!(records.durable() > before);
            assert_eq!(run(&s, &SETUP, &mut records).resumed().0, 1);
            assert!(same(&s, "x"));
        }
    }
}

#[test]
fn a_sender_that_goes_away_leaves_what_was_written() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), noise(300 * CHUNK as usize, 1)).unwrap();
    let slow = Setup {
        limit: 40 << 20,
        ..SETUP
    };
    let two = start(&s, &slow, &Records::default());
    two.keeper.keep(2);
    two.sender.abort("paused there");
    two.keeper.keep(u32::MAX);
    two.received.recv_timeout(PATIENCE).unwrap();
    assert_eq!((two.keeper.records().parts.len(), s.parts().len()), (1, 1));
}

/// As of a caller whose disk is full.
#[test]
fn a_part_whose_only_record_failed_is_not_left() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), noise(300 * CHUNK as usize, 1)).unwrap();
    let slow = Setup {
        limit: 40 << 20,
        ..SETUP
    };
    let two = start(&s, &slow, &Records::default());
    let lost = two.keeper.batches.recv_timeout(PATIENCE).unwrap();
    assert_eq!((lost.parts.len(), s.parts().len()), (1, 1));
    two.keeper.job.abort("no room", Unfinished::Keep);
    two.keeper.job.abort("no room", Unfinished::Keep);
    assert_eq!(two.received.recv_timeout(PATIENCE), Ok(State::Aborted));
    assert!(s.parts().is_empty());
}

#[test]
fn a_part_of_which_nothing_is_known_is_left_alone() {
    let s = Scratch::new();
    let mut records = half_done(&s, 100 * CHUNK as usize, &SETUP);
    let part = s.parts().remove(0);
    // A part that this run knows nothing of is left alone, its own are not left.
    let ran = run(&s, &SETUP, &mut Records::default());
    assert_eq!((ran.state, ran.resumed()), (State::Done, (0, 0, 0)));
    assert_eq!(s.parts(), [part]);
    // Now the destination is what the record's source is: nothing is asked for, and the part goes.
    assert_eq!(run(&s, &SETUP, &mut records).state, State::Done);
    assert!(s.parts().is_empty() && records.parts.is_empty());
}
