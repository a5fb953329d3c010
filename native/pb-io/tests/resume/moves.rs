//! Moves whose receiver was killed after it had given files their names, and before it could record that.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pb_io::job::{State, get};
use pb_io::recv::Overwrite;

use crate::common::Scratch;
use crate::run::{Ran, Records, SETUP, Setup, run};

const AGO: Duration = Duration::from_secs(1000);

fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as i64
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + AGO).unwrap();
}

/// Small and large, a link too; some stand at the destination, and nothing is recorded.
fn placed_unrecorded(s: &Scratch) {
    for folder in ["a", "b"] {
        write(&s.path(folder).join("small"), "the same");
        write(&s.path(folder).join("large"), &"large ".repeat(100_000));
        write(&s.path(folder).join("other"), folder);
        symlink("small", s.path(folder).join("link")).unwrap();
    }
    let utimes = |path: &Path| {
        let at = rustix::fs::Timespec {
            tv_sec: 1000,
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: at,
            last_modification: at,
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
    };
    utimes(&s.path("a/link"));
    utimes(&s.path("b/link"));
    write(&s.path("a/new"), "not there yet");
}

fn go_on(s: &Scratch, overwrite: Overwrite, since_ns: i64) -> Ran {
    let setup = Setup {
        overwrite,
        move_sources: true,
        placed_since_ns: Some(since_ns),
        ..SETUP
    };
    let ran = run(s, &setup, &mut Records::default());
    assert_eq!((ran.state, ran.errors()), (State::Done, vec![]));
    assert!(s.parts().is_empty());
    ran
}

fn left(s: &Scratch) -> Vec<String> {
    let names = fs::read_dir(s.path("a")).unwrap();
    let name = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = names.map(name).collect();
    names.sort();
    names
}

#[test]
fn what_was_placed_and_not_recorded_is_moved_and_nothing_else() {
    for overwrite in [Overwrite::Never, Overwrite::IfNewer] {
        let s = Scratch::new();
        let before = now_ns() - 1_000_000_000;
        placed_unrecorded(&s);
        let ran = go_on(&s, overwrite, before);
        // Another content under the same name, of the same size and time, is another file: it stays, and so does the source.
        assert_eq!(left(&s), ["other"], "{overwrite:?}");
        assert_eq!(fs::read_to_string(s.path("b/other")).unwrap(), "b");
        assert_eq!(fs::read_to_string(s.path("b/small")).unwrap(), "the same");
        assert_eq!(
            fs::read_to_string(s.path("b/new")).unwrap(),
            "not there yet"
        );
        let c = &ran.sent.counters;
        assert_eq!((get(&c.removed_sources), get(&c.skipped_files)), (4, 1));
    }
}

#[test]
fn what_stood_there_before_the_move_began_keeps_its_source() {
    for overwrite in [Overwrite::Never, Overwrite::IfNewer] {
        let s = Scratch::new();
        placed_unrecorded(&s);
        go_on(&s, overwrite, now_ns() + 1_000_000_000);
        assert_eq!(
            left(&s),
            ["large", "link", "other", "small"],
            "{overwrite:?}"
        );
    }
}

#[test]
fn a_source_that_is_its_own_target_stays() {
    let s = Scratch::new();
    write(&s.path("a/x"), "one file, two names");
    fs::hard_link(s.path("a/x"), s.path("b/x")).unwrap();
    go_on(&s, Overwrite::Never, 0);
    assert_eq!(left(&s), ["x"]);
}
