//! A sending job whose receiver is written here: what no honest receiver says of what it has costs no memory, and nothing
//! wrong is believed.

use std::fs;
use std::sync::Arc;

use pb_io::error::Code;
use pb_io::job::State;
use pb_io::send::SendJob;
use pb_io::session::Session;
use pb_io::transport::{LaneHost, Next, OutBody, Place};
use pb_proto::message::item::{Item, Items};
use pb_proto::message::note::{MAX_HAVE, Note};
use pb_proto::message::{Parsed, message_trailer, parse};

use crate::common::{Scratch, entries, noise, status};
use crate::run::{CHUNK, PATIENCE, SETUP, send_options};

struct Receiver {
    session: Arc<Session>,
    next: u32,
    ended: std::sync::mpsc::Receiver<State>,
    job: Arc<SendJob>,
    _scratch: Scratch,
}

impl Receiver {
    /// A job that has offered one file of 100 chunks and 5 bytes.
    fn new() -> Receiver {
        let s = Scratch::new();
        fs::write(s.path("a/x"), noise(100 * CHUNK as usize + 5, 1)).unwrap();
        let session = Session::new(pb_io::session::SessionOptions {
            memory: 8 << 20,
            limit: 0,
            seal: true,
        })
        .unwrap();
        session.peer_grant(u64::MAX / 2);
        let (status, ended) = status();
        let send = send_options(&s.path("a"), &SETUP);
        let list = entries(&send.roots[0]);
        let job = SendJob::start(&session, send, status).unwrap();
        job.push(list);
        job.finish();
        let mut receiver = Receiver {
            session,
            next: 0,
            ended,
            job,
            _scratch: s,
        };
        receiver.say(&[Note::Accept {
            push: false,
            dense: false,
        }]);
        assert!(receiver.hears(|item| matches!(item, Item::Offer { .. })));
        receiver
    }

    fn say(&mut self, notes: &[Note<'_>]) {
        let mut bytes = Vec::new();
        notes.iter().for_each(|n| n.encode(&mut bytes));
        bytes.extend_from_slice(&message_trailer(1));
        let Ok(Place::Into(unit)) = self.session.place(self.next, bytes.len() as u32) else {
            panic!("a place")
        };
        self.next += 1;
        let mut state = unit.state.lock();
        let buffer = state.buffer.as_mut().unwrap();
        buffer.as_mut_slice().copy_from_slice(&bytes);
        drop(state);
        self.session.unit_complete(0, unit);
    }

    /// Does an item of that kind come before long? Chunks are counted.
    fn hears(&self, wanted: impl Fn(&Item<'_>) -> bool) -> bool {
        self.listen(wanted).0
    }

    fn listen(&self, wanted: impl Fn(&Item<'_>) -> bool) -> (bool, Vec<u64>) {
        let until = std::time::Instant::now() + std::time::Duration::from_millis(500);
        let mut chunks = Vec::new();
        while std::time::Instant::now() < until {
            let Next::Unit(unit) = self.session.next_unit(0) else {
                std::thread::sleep(std::time::Duration::from_millis(1));
                continue;
            };
            let OutBody::Memory(buffer) = &unit.body else {
                continue;
            };
            match parse(buffer.as_slice()) {
                Ok(Parsed::Chunk { trailer, .. }) => chunks.push(trailer.offset / CHUNK),
                Ok(Parsed::Bundle { items, .. })
                    if Items::new(items).any(|i| wanted(&i.unwrap())) =>
                {
                    return (true, chunks);
                }
                _ => {}
            }
        }
        (false, chunks)
    }

    fn is_refused(&self, what: &str) {
        assert_eq!(
            self.ended.recv_timeout(PATIENCE),
            Ok(State::Failed),
            "{what}"
        );
        let errors = self.job.status.errors();
        assert_eq!(errors[0].code, Code::ProtocolViolation, "{what}");
    }
}

fn resume(chunks: u64) -> Note<'static> {
    Note::Resume {
        id: 0,
        chunk_log2: 16,
        chunks,
    }
}

fn have(first: u64, values: &[[u8; 32]]) -> Note<'_> {
    Note::Have {
        id: 0,
        chunk_log2: 16,
        first,
        values,
    }
}

#[test]
fn the_sender_begins_when_all_values_are_there_in_whatever_order() {
    let mut r = Receiver::new();
    r.say(&[have(90, &[[1; 32]; 11])]);
    assert!(r.listen(|_| false).1.is_empty());
    r.say(&[resume(81)]);
    assert!(r.listen(|_| false).1.is_empty());
    r.say(&[have(0, &[[1; 32]; 70])]);
    let (end, mut chunks) = r.listen(|item| matches!(item, Item::End { .. }));
    chunks.sort_unstable();
    assert_eq!((end, chunks), (true, (70..90).collect()));
}

#[test]
fn a_file_that_is_all_there_is_only_ended() {
    let mut r = Receiver::new();
    r.say(&[resume(101), have(0, &[[1; 32]; 101])]);
    let (end, chunks) = r.listen(|item| matches!(item, Item::End { .. }));
    assert_eq!((end, chunks), (true, vec![]));
}

#[test]
fn a_plain_want_after_some_values_sends_everything() {
    let mut r = Receiver::new();
    r.say(&[have(0, &[[1; 32]; 50]), Note::Want { id: 0 }]);
    let (end, chunks) = r.listen(|item| matches!(item, Item::End { .. }));
    assert_eq!((end, chunks.len()), (true, 101));
}

#[test]
fn what_a_file_can_not_have_ends_the_job() {
    let many = [[1; 32]; MAX_HAVE];
    for (what, notes) in [
        ("more chunks than there are", vec![resume(102)]),
        ("a chunk behind the end", vec![have(101, &many[..1])]),
        ("a run over the end", vec![have(0, &many)]),
        (
            "an index that overflows",
            vec![have((1 << 62) - 1, &many[..2])],
        ),
        (
            "a chunk twice",
            vec![have(3, &many[..2]), have(4, &many[..1])],
        ),
        (
            "another chunk size",
            vec![
                have(3, &many[..2]),
                Note::Resume {
                    id: 0,
                    chunk_log2: 17,
                    chunks: 2,
                },
            ],
        ),
        ("said twice", vec![resume(5), resume(5)]),
    ] {
        let mut r = Receiver::new();
        r.say(&notes);
        r.is_refused(what);
    }
}

#[test]
fn what_is_said_of_files_that_were_not_offered_is_nothing() {
    let mut r = Receiver::new();
    let of = |id| Note::Have {
        id,
        chunk_log2: 16,
        first: 0,
        values: &[[1; 32]],
    };
    r.say(&[of(1), of(u32::MAX), Note::Want { id: 0 }]);
    assert!(r.hears(|item| matches!(item, Item::End { .. })));
    r.say(&[of(0), resume(3), resume(3)]);
    assert!(!r.job.status.has_ended());
}
