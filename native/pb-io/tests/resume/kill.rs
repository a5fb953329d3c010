//! Receiving processes that are killed at any point: nothing is tidied up, what was recorded is all that is known.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use pb_io::job::{State, Status, get};
use pb_io::send::SendJob;
use pb_io::session::{Session, SessionOptions};
use pb_io::transport::{LaneHost, Next, OutBody, Place};

use crate::common::{Scratch, entries, noise, status};
use crate::run::{CHUNK, Keeper, Records, SETUP, Setup, recv_options, run, send_options};

/// Two sessions whose wire is cut after a number of units.
struct Wire {
    near: Arc<Session>,
    far: Arc<Session>,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn new(setup: &Setup, units: u64) -> Wire {
        let session = |limit| {
            Session::new(SessionOptions {
                memory: setup.memory,
                limit,
                seal: true,
            })
            .unwrap()
        };
        let wire = Wire {
            near: session(setup.limit),
            far: session(0),
            cut: Arc::default(),
        };
        let left = Arc::new(AtomicU64::new(units));
        for (from, to) in [(&wire.near, &wire.far), (&wire.far, &wire.near)] {
            let (from, to) = (Arc::clone(from), Arc::clone(to));
            let (cut, left) = (Arc::clone(&wire.cut), Arc::clone(&left));
            std::thread::spawn(move || carry(&from, &to, &cut, &left));
        }
        wire
    }
}

fn carry(from: &Session, to: &Arc<Session>, cut: &AtomicBool, left: &AtomicU64) {
    while !cut.load(Ordering::Acquire) && !from.has_ended() && !to.has_ended() {
        from.peer_grant(to.grant());
        let Next::Unit(unit) = from.next_unit(0) else {
            sleep(Duration::from_micros(300));
            continue;
        };
        if left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .is_err()
        {
            return cut.store(true, Ordering::Release);
        }
        let (OutBody::Memory(body), Ok(Place::Into(place))) =
            (&unit.body, to.place(unit.id, unit.len))
        else {
            panic!("a unit in memory, and its place")
        };
        let mut state = place.state.lock();
        state
            .buffer
            .as_mut()
            .unwrap()
            .as_mut_slice()
            .copy_from_slice(body.as_slice());
        drop(state);
        to.unit_complete(0, place);
    }
}

/// A process that was killed: it does nothing more, and what it had open stays as it was.
struct Dead {
    _keeper: Keeper,
    sender: Arc<SendJob>,
    received: Arc<Status>,
    wire: Wire,
}

impl Drop for Dead {
    fn drop(&mut self) {
        self.wire.near.end(None);
        self.wire.far.end(None);
    }
}

/// Runs until so many units went over the wire; what was written by then and is not recorded.
fn killed_after(units: u64, s: &Scratch, setup: &Setup, records: &mut Records) -> (Dead, u64) {
    let wire = Wire::new(setup, units);
    let ((sent, _), (received, _)) = (status(), status());
    let options = recv_options(&s.path("b"), setup);
    let keeper = Keeper::start(&wire.far, (options, setup), Arc::clone(&received), records);
    let send = send_options(&s.path("a"), setup);
    let list = entries(&send.roots[0]);
    let sender = SendJob::start(&wire.near, send, sent).unwrap();
    sender.push(list);
    sender.finish();
    while !wire.cut.load(Ordering::Acquire) && !received.has_ended() {
        keeper.keep_what_comes();
    }
    // Dead from here on: a batch on its way reaches nobody. What was handed to a writer may still be written.
    let written = get(&received.counters.bytes);
    let before = std::mem::replace(records, keeper.records());
    sleep(Duration::from_millis(30));
    let resumed = get(&received.counters.resumed_bytes);
    let lost = (written - resumed.min(written)).saturating_sub(records.gained(&before));
    let dead = Dead {
        _keeper: keeper,
        sender,
        received,
        wire,
    };
    (dead, lost)
}

/// Those that `plant` makes and that come in chunks.
const LARGE_FILES: u64 = 4;

fn plant(s: &Scratch, seed: u64) {
    fs::create_dir(s.path("a/d")).unwrap();
    for n in 0..20 {
        let small = noise((seed * 31 + n * 97) as usize % 5000, seed ^ n);
        fs::write(s.path(&format!("a/d/f{n}")), small).unwrap();
    }
    for n in 0..3u64 {
        let size = (seed * 1_000_003 + n * 777_777) % (60 * CHUNK) + 5 * CHUNK;
        fs::write(s.path(&format!("a/l{n}")), noise(size as usize, seed + n)).unwrap();
    }
    let file = fs::File::create(s.path("a/sparse")).unwrap();
    file.set_len(50 * CHUNK).unwrap();
    file.write_all_at(&noise(3 * CHUNK as usize, seed), 20 * CHUNK + 100)
        .unwrap();
}

fn assert_same(a: &Path, b: &Path, seed: u64) {
    for entry in fs::read_dir(a).unwrap().map(Result::unwrap) {
        let there = b.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => assert_same(&entry.path(), &there, seed),
            false => {
                let same = fs::read(entry.path()).unwrap() == fs::read(&there).unwrap();
                assert!(same, "seed {seed}: {}", there.display());
            }
        }
    }
}

/// Every name at the destination that is a file's own holds one version of it as a whole.
fn assert_whole(b: &Path, versions: &[Vec<u8>], seed: u64) {
    if let Ok(there) = fs::read(b) {
        let one = versions.contains(&there);
        assert!(one, "seed {seed}: {} mixes versions", b.display());
    }
}

fn one_history(seed: u64) {
    let s = Scratch::new();
    plant(&s, seed);
    // No time may pass, so that the bytes alone are the bound, however busy this machine is.
    let setup = Setup {
        flush: Duration::ZERO,
        ..SETUP
    };
    let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut roll = |n: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % n
    };
    let mut versions = vec![fs::read(s.path("a/l0")).unwrap()];
    let mut records = Records::default();
    let mut dead = Vec::new();
    for _ in 0..=roll(3) {
        let (process, lost) = killed_after(roll(160) + 1, &s, &setup, &mut records);
        // What is no chunk and counts when its file is whole: small files and the hole.
        let no_chunks = 20 * 5000 + 50 * CHUNK;
        // And each of a session's writers may have a chunk in hand. However slow the keeper, they wait for its records.
        let unrecorded = setup.flush_bytes + 4 * CHUNK;
        // What of a file was unrecorded when it was whole waits with the file for its result, and holds up nobody any more.
        let bound = unrecorded * (1 + LARGE_FILES) + no_chunks;
        assert!(lost <= bound, "seed {seed}: {lost} of at most {bound} lost");
        dead.push(process);
        assert_whole(&s.path("b/l0"), &versions, seed);
        if roll(3) == 0 {
            versions.push(noise((roll(40) * CHUNK) as usize + 300_000, seed ^ 99));
            fs::write(s.path("a/l0"), &versions[versions.len() - 1]).unwrap();
        }
    }
    let ran = run(&s, &SETUP, &mut records);
    assert_eq!(
        (ran.state, ran.errors()),
        (State::Done, vec![]),
        "seed {seed}"
    );
    assert_same(&s.path("a"), &s.path("b"), seed);
    // Files that stood under their names but were not recorded are there for the policy to see.
    let counters = &ran.sent.counters;
    let all = get(&counters.files) + get(&counters.skipped_files);
    assert_eq!(all, 24, "seed {seed}");
    assert!(records.parts.is_empty(), "seed {seed}");
    dead.iter().for_each(|d| d.sender.abort("dead"));
    assert!(dead.iter().all(|d| get(&d.received.counters.failed) == 0));
}

#[test]
fn whatever_the_moment_the_destination_is_one_version_and_little_is_done_again() {
    (1..=40).for_each(one_history);
}
