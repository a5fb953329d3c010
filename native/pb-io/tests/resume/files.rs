//! Whole files and parts of them that an earlier run had.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use pb_io::job::{Redone, State, get};
use pb_io::recv::Overwrite;

use crate::common::{Scratch, noise};
use crate::run::{CHUNK, Records, SETUP, Setup, run};

/// A file of which some chunks are recorded and the rest never came.
pub fn half_done(s: &Scratch, size: usize, setup: &Setup) -> Records {
    fs::write(s.path("a/x"), noise(size, 7)).unwrap();
    half(s, setup)
}

pub fn half(s: &Scratch, setup: &Setup) -> Records {
    let mut records = Records::default();
    let slow = Setup {
        limit: 10 << 20,
        batches: 3,
        ..setup.clone()
    };
    run(s, &slow, &mut records);
    assert_eq!(records.parts.len(), 1, "killed in the middle");
    assert!(records.durable() > 0 && s.parts().len() == 1);
    records
}

pub fn same(s: &Scratch, name: &str) -> bool {
    fs::read(s.path("a").join(name)).unwrap() == fs::read(s.path("b").join(name)).unwrap()
}

#[test]
fn what_was_recorded_of_a_file_is_not_sent_again() {
    let s = Scratch::new();
    let size = 100 * CHUNK as usize + 77;
    let mut records = half_done(&s, size, &SETUP);
    let durable = records.durable();
    let ran = run(&s, &SETUP, &mut records);
    assert_eq!((ran.state, ran.errors()), (State::Done, vec![]));
    assert_eq!(ran.resumed(), (1, durable, 0));
    assert_eq!(get(&ran.sent.counters.bytes), size as u64);
    assert!(same(&s, "x") && s.parts().is_empty());
    assert_eq!((records.parts.len(), records.done.len()), (0, 1));
    assert_eq!(
        ran.received.hashes()[0].hash,
        *blake3::hash(&fs::read(s.path("a/x")).unwrap()).as_bytes()
    );
}

#[test]
fn a_file_that_is_resumed_twice_grows_each_time() {
    let s = Scratch::new();
    let mut records = half_done(&s, 300 * CHUNK as usize, &SETUP);
    let first = records.durable();
    let again = Setup {
        limit: 10 << 20,
        batches: 3,
        ..SETUP
    };
    run(&s, &again, &mut records);
    let second = records.durable();
    assert!(second > first && records.parts.len() == 1);
    let ran = run(&s, &SETUP, &mut records);
    assert_eq!(ran.resumed(), (1, second, 0));
    assert!(same(&s, "x"));
}

#[test]
fn another_chunk_size_changes_nothing_for_a_begun_file() {
    let s = Scratch::new();
    let mut records = half_done(&s, 150 * CHUNK as usize + 1, &SETUP);
    let durable = records.durable();
    let large = Setup {
        chunk: 1 << 20,
        ..SETUP
    };
    let ran = run(&s, &large, &mut records);
    assert_eq!((ran.state, ran.resumed()), (State::Done, (1, durable, 0)));
    assert!(same(&s, "x"));
}

#[test]
fn finished_files_are_looked_at_and_not_sent() {
    let s = Scratch::new();
    for n in 0..50 {
        fs::write(s.path(&format!("a/f{n}")), noise(1000 + n, n as u64)).unwrap();
    }
    fs::write(s.path("a/large"), noise(20 * CHUNK as usize, 1)).unwrap();
    let mut records = Records::default();
    assert_eq!(run(&s, &SETUP, &mut records).state, State::Done);
    assert_eq!(records.done.len(), 51);
    let before = fs::metadata(s.path("b/large")).unwrap().ctime_nsec();
    // Changed at the destination, changed at the source, and gone.
    fs::write(s.path("b/f1"), b"other").unwrap();
    fs::write(s.path("a/f2"), noise(5, 5)).unwrap();
    fs::remove_file(s.path("b/f3")).unwrap();
    let always = Setup {
        overwrite: Overwrite::Always,
        ..SETUP
    };
    let ran = run(&s, &always, &mut records);
    assert_eq!(ran.state, State::Done);
    let (files, bytes, redone) = ran.resumed();
    assert_eq!((files, redone, get(&ran.sent.counters.files)), (48, 3, 51));
    let mut named = ran.received.take_redone();
    named.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let changed = |name: &[u8], why| (name.to_vec(), why);
    assert_eq!(
        named,
        [
            changed(b"f1", Redone::DestinationChanged),
            changed(b"f2", Redone::SourceChanged),
            changed(b"f3", Redone::DestinationChanged),
        ]
    );
    // The hashes of what was not sent are known to both ends all the same.
    for end in [&ran.sent, &ran.received] {
        let hashes = end.hashes();
        assert_eq!(hashes.len(), 51);
        for file in hashes {
            let path = s.path("b").join(str::from_utf8(&file.path).unwrap());
            assert_eq!(file.hash, pb_io::hash::whole(&fs::read(path).unwrap()));
        }
    }
    assert!(bytes < get(&ran.sent.counters.bytes));
    assert_eq!(
        get(&ran.sent.counters.bytes),
        get(&ran.sent.counters.total_bytes)
    );
    assert_eq!(
        fs::metadata(s.path("b/large")).unwrap().ctime_nsec(),
        before
    );
    (0..50).for_each(|n| assert!(same(&s, &format!("f{n}"))));
}

#[test]
fn a_file_that_got_its_name_and_no_record_is_not_sent_again() {
    let s = Scratch::new();
    let mut records = half_done(&s, 100 * CHUNK as usize, &SETUP);
    let before = records.clone();
    run(&s, &SETUP, &mut records);
    // As if it had been killed between rename and record.
    let mut records = before;
    let moving = Setup {
        overwrite: Overwrite::Always,
        move_sources: true,
        ..SETUP
    };
    let ran = run(&s, &moving, &mut records);
    assert_eq!(
        (ran.state, ran.resumed()),
        (State::Done, (1, 100 * CHUNK, 0))
    );
    assert_eq!(get(&ran.sent.counters.removed_sources), 1);
    assert_eq!(
        fs::read(s.path("b/x")).unwrap(),
        noise(100 * CHUNK as usize, 7)
    );
}

#[test]
fn a_policy_that_keeps_what_is_there_keeps_what_was_changed_there() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), b"new").unwrap();
    let mut records = Records::default();
    run(&s, &SETUP, &mut records);
    fs::write(s.path("b/x"), b"changed there").unwrap();
    let never = Setup {
        overwrite: Overwrite::Never,
        ..SETUP
    };
    let ran = run(&s, &never, &mut records);
    assert_eq!((ran.state, ran.resumed()), (State::Done, (0, 0, 0)));
    assert_eq!(get(&ran.sent.counters.skipped_files), 1);
    assert_eq!(fs::read(s.path("b/x")).unwrap(), b"changed there");
}

#[test]
fn a_move_removes_the_sources_of_files_that_an_earlier_run_finished() {
    let s = Scratch::new();
    fs::write(s.path("a/small"), b"small").unwrap();
    fs::write(s.path("a/large"), noise(30 * CHUNK as usize, 1)).unwrap();
    let mut records = Records::default();
    run(&s, &SETUP, &mut records);
    let moving = Setup {
        move_sources: true,
        ..SETUP
    };
    let ran = run(&s, &moving, &mut records);
    assert_eq!((ran.state, ran.sent.errors()), (State::Done, vec![]));
    assert_eq!(
        (ran.resumed().0, get(&ran.sent.counters.removed_sources)),
        (2, 2)
    );
    assert_eq!(fs::read_dir(s.path("a")).unwrap().count(), 0);
}

#[test]
fn holes_of_a_file_stay_holes_when_it_is_resumed() {
    let s = Scratch::new();
    let file = fs::File::create(s.path("a/x")).unwrap();
    let size = 400 * CHUNK;
    file.set_len(size).unwrap();
    for n in (0..400).step_by(3) {
        let half = &noise(CHUNK as usize / 2, n)[..];
        file.write_all_at(half, n * CHUNK).unwrap();
    }
    drop(file);
    let mut records = half(&s, &SETUP);
    // Whatever a crash left between the durable chunks is no part of the file.
    let part = records.parts.values().next().unwrap();
    let hole = (1..400u64)
        .filter(|n| n % 3 == 1)
        .find(|n| !part.chunks.windows(8).any(|w| w == n.to_be_bytes()))
        .unwrap();
    let litter = fs::File::options().write(true).open(&s.parts()[0]).unwrap();
    litter.write_all_at(b"litter", hole * CHUNK).unwrap();
    drop(litter);
    let ran = run(&s, &SETUP, &mut records);
    assert_eq!((ran.state, ran.resumed().0), (State::Done, 1));
    assert_eq!(get(&ran.sent.counters.bytes), size);
    assert!(same(&s, "x"));
    let blocks = fs::metadata(s.path("b/x")).unwrap().blocks() * 512;
    assert!(blocks < size / 2, "{blocks} bytes of {size}");
}
