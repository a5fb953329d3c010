//! Sources and parts that are not what they were.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::time::{Duration, SystemTime};

use pb_io::fs::{Resolve, Root};
use pb_io::job::{Redone, State, get};
use pb_io::recv::remove_parts;

use crate::common::{Scratch, entries, noise};
use crate::files::{half_done, same};
use crate::run::{CHUNK, Records, SETUP, run, run_entries, send_options};

const SIZE: usize = 100 * CHUNK as usize;

fn begun(change: impl FnOnce(&Scratch)) -> (Scratch, Records) {
    let s = Scratch::new();
    let records = half_done(&s, SIZE, &SETUP);
    change(&s);
    (s, records)
}

/// The next run begins the file anew, says so, and leaves nothing of the old part.
fn is_redone((s, mut records): (Scratch, Records), reason: Option<Redone>, why: &str) {
    let left = s.parts();
    let ran = run(&s, &SETUP, &mut records);
    assert_eq!((ran.state, ran.errors()), (State::Done, vec![]), "{why}");
    assert_eq!(ran.resumed(), (0, 0, 1), "{why}");
    let named = ran.received.take_redone();
    assert!(matches!(&*named, [(path, _)] if path == b"x"), "{why}");
    assert!(reason.is_none_or(|r| named[0].1 == r), "{why}: {named:?}");
    assert!(same(&s, "x"), "{why}");
    assert_eq!((records.parts.len(), records.done.len()), (0, 1), "{why}");
    // What is not the part that was recorded is somebody else's.
    assert!(s.parts().iter().all(|p| left.contains(p)), "{why}");
}

#[test]
fn a_source_that_changed_is_begun_anew() {
    is_redone(
        begun(|s| fs::write(s.path("a/x"), noise(SIZE, 8)).unwrap()),
        Some(Redone::SourceChanged),
        "mtime",
    );
    let longer = |s: &Scratch| {
        let file = fs::File::options().write(true).open(s.path("a/x")).unwrap();
        let mtime = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(b"more", SIZE as u64).unwrap();
        file.set_modified(mtime).unwrap();
    };
    is_redone(begun(longer), Some(Redone::SourceChanged), "size");
    let swapped = |s: &Scratch| {
        let mtime = fs::metadata(s.path("a/x")).unwrap().modified().unwrap();
        fs::write(s.path("other"), noise(SIZE, 9)).unwrap();
        let other = fs::File::options()
            .write(true)
            .open(s.path("other"))
            .unwrap();
        other.set_modified(mtime).unwrap();
        fs::rename(s.path("other"), s.path("a/x")).unwrap();
    };
    is_redone(begun(swapped), Some(Redone::SourceChanged), "inode");
}

#[test]
fn a_part_that_is_not_what_was_recorded_is_not_used() {
    let part = |s: &Scratch| s.parts().remove(0);
    let copied = |s: &Scratch| {
        let (at, bytes) = (part(s), fs::read(part(s)).unwrap());
        fs::rename(&at, s.path("b/away")).unwrap();
        fs::write(&at, bytes).unwrap();
    };
    is_redone(begun(copied), Some(Redone::PartChanged), "another inode");
    is_redone(
        begun(|s| {
            fs::File::options()
                .write(true)
                .open(part(s))
                .unwrap()
                .set_len(CHUNK / 2)
                .unwrap()
        }),
        Some(Redone::PartChanged),
        "shorter",
    );
    is_redone(
        begun(|s| fs::hard_link(part(s), s.path("b/linked")).unwrap()),
        Some(Redone::PartChanged),
        "a hard link",
    );
    let linked = |s: &Scratch| {
        let at = part(s);
        fs::rename(&at, s.path("outside")).unwrap();
        symlink("../outside", &at).unwrap();
    };
    is_redone(begun(linked), Some(Redone::PartChanged), "a symbolic link");
    is_redone(
        begun(|s| fs::remove_file(part(s)).unwrap()),
        Some(Redone::PartLost),
        "gone",
    );
}

#[test]
fn a_part_with_its_final_permissions_is_used_and_closed_to_others_again() {
    use std::os::unix::fs::PermissionsExt;
    let (s, mut records) = begun(|s| {
        let read_only = fs::Permissions::from_mode(0o444);
        fs::set_permissions(s.parts().remove(0), read_only).unwrap();
    });
    let ran = run(&s, &SETUP, &mut records);
    assert_eq!((ran.resumed().0, ran.resumed().2), (1, 0));
    assert!(same(&s, "x"));
}

#[test]
fn records_that_no_file_can_have_are_not_used() {
    for (n, spoil) in [
        (|p: &mut pb_io::recv::checkpoint::PartRecord| p.chunk_bytes = 3) as fn(&mut _),
        |p| p.chunk_bytes = 1 << 30,
        |p| p.chunks[0] = 1,
        |p| p.chunks.truncate(30),
        |p| p.chunks.extend_from_within(..),
        |p| p.temporary = b"../a/x".to_vec(),
        |p| p.temporary = b"x".to_vec(),
        |p| p.size += 1,
        |p| p.chunks.clear(),
    ]
    .into_iter()
    .enumerate()
    {
        let (s, mut records) = begun(|_| {});
        records.parts.values_mut().for_each(spoil);
        is_redone((s, records), None, &format!("record {n}"));
    }
}

#[test]
fn a_source_that_changed_between_offer_and_opening_is_begun_anew() {
    let (s, mut records) = begun(|_| {});
    fs::write(s.path("a/y"), b"was small").unwrap();
    let list = entries(&send_options(&s.path("a"), &SETUP).roots[0]);
    // Longer by a bit, with another time; and small files that grew and shrank.
    fs::write(s.path("a/x"), noise(SIZE + 9, 8)).unwrap();
    fs::write(s.path("a/y"), noise(SIZE, 4)).unwrap();
    let ran = run_entries(&s, &SETUP, &mut records, list);
    assert_eq!((ran.state, ran.errors()), (State::Done, vec![]));
    assert_eq!(get(&ran.received.counters.redone_files), 1);
    assert!(same(&s, "x") && same(&s, "y"));
    assert_eq!(get(&ran.sent.counters.bytes), (2 * SIZE + 9) as u64);
    let mtime = |p: &str| fs::metadata(s.path(p)).unwrap().modified().unwrap();
    assert_eq!((mtime("a/x"), mtime("a/y")), (mtime("b/x"), mtime("b/y")));
}

#[test]
fn a_listing_that_is_wrong_costs_one_more_offer() {
    let s = Scratch::new();
    fs::write(s.path("a/x"), noise(SIZE, 1)).unwrap();
    fs::write(s.path("b/x"), b"old").unwrap();
    let mut list = entries(&send_options(&s.path("a"), &SETUP).roots[0]);
    list[0].inode += 1;
    list[0].mtime_ns += 1;
    let ran = run_entries(&s, &SETUP, &mut Records::default(), list);
    assert_eq!((ran.state, ran.errors()), (State::Done, vec![]));
    assert!(same(&s, "x"));
}

/// ext4 gives the inode of a file that was removed to the next one.
#[test]
fn a_part_replaced_by_a_file_that_got_its_inode_is_begun_anew() {
    let replaced = |s: &Scratch| {
        let part = s.parts().remove(0);
        fs::remove_file(&part).unwrap();
        fs::write(part, noise(SIZE, 7)).unwrap();
    };
    is_redone(begun(replaced), Some(Redone::PartChanged), "replaced");
    let (s, mut records) = begun(|_| {});
    records.parts.values_mut().for_each(|p| p.birth_ns -= 1);
    is_redone(
        (s, records),
        Some(Redone::PartChanged),
        "same inode, born at another time",
    );
}

#[test]
fn parts_that_nobody_comes_for_go_when_the_job_is_over() {
    let (s, mut records) = begun(|s| fs::remove_file(s.path("a/x")).unwrap());
    fs::write(s.path("a/y"), b"y").unwrap();
    assert_eq!(run(&s, &SETUP, &mut records).state, State::Done);
    assert!(s.parts().is_empty() && records.parts.is_empty() && same(&s, "y"));
}

#[test]
fn parts_of_a_job_that_is_forgotten_are_removed() {
    let (s, records) = begun(|s| fs::hard_link(s.parts().remove(0), s.path("linked")).unwrap());
    let root = Root::open(&s.path(""), Resolve::Beneath, true).unwrap();
    let parts: Vec<_> = records.parts.values().cloned().collect();
    let remove = |base: &[u8]| remove_parts(&root, (base, false), &parts).unwrap();
    assert_eq!((remove(b"b"), s.parts().len()), (0, 1));
    fs::remove_file(s.path("linked")).unwrap();
    assert_eq!((remove(b"nowhere"), remove(b"b")), (0, 1));
    assert!(s.parts().is_empty());
    assert_eq!(remove(b"b"), 0);
}

#[test]
fn a_time_before_the_part_was_made_means_nothing() {
    let (s, mut records) = begun(|s| {
        let part = fs::File::options()
            .write(true)
            .open(s.parts().remove(0))
            .unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(10 * 365 * 86_400);
        part.set_modified(long_ago).unwrap();
    });
    assert_eq!(run(&s, &SETUP, &mut records).resumed().0, 1);
    assert!(same(&s, "x"));
}
