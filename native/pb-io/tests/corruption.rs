//! Bytes that change between the sender's hash and the receiver's disk: found, fetched again, never published.

#[allow(dead_code)]
mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pb_io::error::Code;
use pb_io::fs::Kind;
use pb_io::job::{State, Status, get};
use pb_io::recv::{Overwrite, RecvJob, RecvOptions};
use pb_io::send::{Entry, SendJob, SendOptions};
use pb_io::session::{Session, SessionOptions};
use pb_io::transport::{LaneHost, Next, OutBody, Place};
use pb_proto::message::item::{Item, Items};
use pb_proto::message::{Parsed, parse};

use common::{recv_options, root, send_options, status};

/// What the wire does to the bytes of a unit.
type Damage = Box<dyn FnMut(&mut [u8]) + Send>;

/// Carries units from one session to another until told to stop.
fn carry(
    from: &Arc<Session>,
    to: &Arc<Session>,
    mut damage: Damage,
    stop: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<()> {
    let (from, to, stop) = (Arc::clone(from), Arc::clone(to), Arc::clone(stop));
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            from.peer_grant(to.grant());
            let Next::Unit(unit) = from.next_unit(0) else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let OutBody::Memory(bytes) = &unit.body else {
                panic!("no sendfile here")
            };
            let Ok(Place::Into(place)) = to.place(unit.id, unit.len) else {
                panic!("a place")
            };
            {
                let mut state = place.state.lock();
                let buffer = state.buffer.as_mut().expect("a buffer").as_mut_slice();
                buffer.copy_from_slice(bytes.as_slice());
                damage(buffer);
            }
            to.unit_complete(0, place);
        }
    })
}

struct Outcome {
    state: State,
    sent: Arc<Status>,
    dir: PathBuf,
    original: Vec<u8>,
}

/// Sends one file of `size` bytes over a wire that does `damage`.
fn send(name: &str, size: usize, damage: Damage) -> Outcome {
    send_from(name, size, None, damage)
}

/// The same, of what comes out of `pipe` if there is one.
fn send_from(name: &str, size: usize, pipe: Option<fs::File>, damage: Damage) -> Outcome {
    let dir = std::env::temp_dir().join(format!("pb-corrupt-{}-{name}", std::process::id()));
    fs::create_dir_all(dir.join("a")).expect("a scratch folder");
    fs::create_dir_all(dir.join("b")).expect("a scratch folder");
    let original: Vec<u8> = (0..size).map(|i| (i * 7 + i / 251) as u8).collect();
    fs::write(dir.join("a/f"), &original).expect("a source");
    let options = SessionOptions {
        memory: 16 << 20,
        limit: 0,
        seal: true,
    };
    let (a, b) = (
        Session::new(options).expect("a session"),
        Session::new(options).expect("a session"),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let lanes = [
        carry(&a, &b, damage, &stop),
        carry(&b, &a, Box::new(|_| {}), &stop),
    ];
    let (received, received_end) = status();
    let recv = RecvOptions {
        overwrite: Overwrite::Always,
        ..recv_options(root(&dir.join("b")))
    };
    RecvJob::start(&b, recv, received, None).expect("a job");
    let (sent, sent_end) = status();
    let options = SendOptions {
        parallel_files: 1,
        remove_sources: true,
        ..send_options(root(&dir.join("a")))
    };
    let job = SendJob::start(&a, options, Arc::clone(&sent)).expect("a job");
    job.push(vec![Entry {
        root: 0,
        source: b"f".to_vec(),
        target: b"f".to_vec(),
        kind: Kind::File,
        size: size as u64,
        mtime_ns: 0,
        mode: 0o644,
        uid: 0,
        gid: 0,
        inode: 0,
        link_target: Vec::new(),
        pipe,
    }]);
    job.finish();
    let state = sent_end
        .recv_timeout(Duration::from_secs(30))
        .expect("the job ends");
    received_end
        .recv_timeout(Duration::from_secs(30))
        .expect("the job ends");
    stop.store(true, Ordering::Relaxed);
    for lane in lanes {
        lane.join().expect("the wire");
    }
    Outcome {
        state,
        sent,
        dir,
        original,
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Flips one bit of the data of the chunk at `offset`, the first `times` times that it passes.
fn flip(offset: u64, mut times: u32) -> Damage {
    Box::new(move |unit| {
        let hit =
            matches!(parse(unit), Ok(Parsed::Chunk { trailer, .. }) if trailer.offset == offset);
        if hit && times > 0 {
            times -= 1;
            unit[12_345] ^= 0x10;
        }
    })
}

#[test]
fn a_corrupted_chunk_is_fetched_again() {
    let o = send("once", 400_000, flip(65_536, 2));
    assert_eq!((o.state, o.sent.errors()), (State::Done, vec![]));
    assert_eq!(get(&o.sent.counters.chunks_refetched), 2);
    assert!(fs::read(o.dir.join("b/f")).expect("a copy") == o.original);
}

#[test]
fn a_chunk_that_never_verifies_fails_its_file_and_keeps_the_source() {
    let o = send("always", 400_000, flip(131_072, u32::MAX));
    assert_eq!(o.state, State::Partial);
    assert_eq!(o.sent.errors()[0].code, Code::VerificationFailed);
    assert_eq!(
        fs::read_dir(o.dir.join("b")).expect("the folder").count(),
        0
    );
    assert!(o.dir.join("a/f").exists());
}

#[test]
fn a_chunk_fetched_again_does_not_end_its_file_early() {
    let o = send("early", 40 << 20, flip(65_536, 2));
    assert_eq!((o.state, o.sent.errors()), (State::Done, vec![]));
    assert!(fs::read(o.dir.join("b/f")).expect("a copy") == o.original);
}

#[test]
fn a_pipe_is_not_read_on_where_a_chunk_should_be_read_again() {
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let feed = std::thread::spawn(move || {
        let data: Vec<u8> = (0..5_000_000u32).map(|i| (i >> 3) as u8).collect();
        // The reader goes when the job fails.
        let _ = std::io::Write::write_all(&mut fs::File::from(writer), &data);
    });
    let o = send_from("pipe", 0, Some(reader.into()), flip(65_536, 1));
    assert_eq!(o.state, State::Partial);
    assert_eq!(o.sent.errors()[0].code, Code::VerificationFailed);
    assert_eq!(names(&o), 0);
    drop(o);
    feed.join().expect("a feeder");
}

#[test]
fn a_source_that_was_replaced_since_is_not_removed() {
    let name = format!("pb-corrupt-{}-replaced/a", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let mut once = true;
    let o = send(
        "replaced",
        400_000,
        Box::new(move |unit| {
            // Not before: the sender looks at its source once more at the end.
            if is_end(unit) && std::mem::take(&mut once) {
                replace(&dir);
            }
        }),
    );
    assert!(o.dir.join("a/f").exists(), "{:?}", o.sent.errors());
    assert_eq!(o.sent.errors()[0].code, Code::SourceChanged);
    assert!(fs::read(o.dir.join("b/f")).expect("a copy") == o.original);
}

/// A bundle that says that a source was unchanged to its end.
fn is_end(unit: &[u8]) -> bool {
    let Ok(Parsed::Bundle { items, .. }) = parse(unit) else {
        return false;
    };
    Items::new(items).any(|item| matches!(item, Ok(Item::End { .. })))
}

/// Another file of the same size and time takes the name, as when the destination is the source by another way.
fn replace(dir: &std::path::Path) {
    let time = fs::metadata(dir.join("f")).and_then(|m| m.modified());
    let other = fs::File::create(dir.join("g")).expect("a file");
    other.set_len(400_000).expect("a size");
    other.set_modified(time.expect("a time")).expect("a time");
    fs::rename(dir.join("g"), dir.join("f")).expect("a rename");
}

fn names(o: &Outcome) -> usize {
    fs::read_dir(o.dir.join("b")).expect("the folder").count()
}

#[test]
fn a_corrupted_small_file_is_not_published() {
    let damage: Damage = Box::new(|unit| {
        if unit.len() > 5_000 {
            unit[4_000] ^= 1;
        }
    });
    let o = send("small", 6_000, damage);
    assert_eq!(
        (o.state, o.sent.errors()[0].code),
        (State::Partial, Code::VerificationFailed)
    );
    assert_eq!(
        fs::read_dir(o.dir.join("b")).expect("the folder").count(),
        0
    );
    assert!(o.dir.join("a/f").exists());
}
