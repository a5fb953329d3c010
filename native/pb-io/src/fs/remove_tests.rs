use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType as Node, RenameFlags, mknodat, renameat_with};

use super::super::Resolve;
use super::super::testing::Scratch;
use super::*;

fn root(scratch: &Scratch) -> Root {
    Root::open(&scratch.dir("root"), Resolve::Beneath, true).unwrap()
}

#[test]
fn counts_and_refuses_what_is_not_empty() {
    let scratch = Scratch::new();
    let root = root(&scratch);
    scratch.dir("root/d/e");
    std::fs::write(scratch.path().join("root/d/f"), b"").unwrap();
    symlink("/etc/passwd", scratch.path().join("root/d/e/l")).unwrap();
    mknodat(
        CWD,
        scratch.path().join("root/d/fifo"),
        Node::Fifo,
        Mode::RWXU,
        0,
    )
    .unwrap();
    assert_eq!(root.remove(b"d", false).unwrap_err().code, Code::NotEmpty);
    assert_eq!(root.remove(b"none", true).unwrap_err().code, Code::NotFound);
    assert_eq!(root.remove(b"", true).unwrap_err().code, Code::InvalidPath);
    assert_eq!(
        root.remove(b"d", true).unwrap(),
        Removed {
            files: 3,
            directories: 2
        }
    );
    scratch.dir("root/empty");
    assert_eq!(
        root.remove(b"empty", false).unwrap(),
        Removed {
            files: 0,
            directories: 1
        }
    );
}

#[test]
fn a_link_to_a_directory_is_removed_itself() {
    let scratch = Scratch::new();
    let root = root(&scratch);
    scratch.dir("outside");
    std::fs::write(scratch.path().join("outside/canary"), b"canary").unwrap();
    symlink("../outside", scratch.path().join("root/l")).unwrap();
    assert_eq!(
        root.remove(b"l", true).unwrap(),
        Removed {
            files: 1,
            directories: 0
        }
    );
    assert_eq!(
        std::fs::read(scratch.path().join("outside/canary")).unwrap(),
        b"canary"
    );
}

#[test]
fn wide_and_deep_trees() {
    let scratch = Scratch::quick();
    let root = root(&scratch);
    let mut path = String::from("root/t");
    for n in 0..100 {
        path.push_str(&format!("/{n}"));
        scratch.dir(&path);
        std::fs::write(scratch.path().join(&path).join("f"), b"").unwrap();
        scratch.dir(&format!("{path}/side"));
    }
    for n in 0..2500 {
        let dir = scratch.dir(&format!("root/t/wide/directory with a longish name {n}"));
        std::fs::write(dir.join("f"), b"").unwrap();
    }
    let want = Removed {
        files: 2600,
        directories: 2702,
    };
    assert_eq!(root.remove(b"t", true).unwrap(), want);
    assert_eq!(
        std::fs::read_dir(scratch.path().join("root"))
            .unwrap()
            .count(),
        0
    );
}

/// T2: someone keeps exchanging directories of the tree with links that lead to the canary.
#[test]
fn swapped_links_never_lead_out() {
    let scratch = Scratch::quick();
    let root = root(&scratch);
    let outside = scratch.dir("outside");
    for n in 0..50 {
        std::fs::write(outside.join(format!("canary{n}")), b"canary").unwrap();
    }
    for round in 0..40 {
        let base = format!("root/t{round}");
        for n in 0..20 {
            let dir = scratch.dir(&format!("{base}/d{n}/inner"));
            std::fs::write(dir.join("canary1"), b"").unwrap();
            symlink(&outside, scratch.path().join(format!("{base}/l{n}"))).unwrap();
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for n in 0..20 {
                        let at = |kind| scratch.path().join(format!("{base}/{kind}{n}"));
                        let _ = renameat_with(CWD, at("d"), CWD, at("l"), RenameFlags::EXCHANGE);
                    }
                }
            });
            let name = format!("t{round}");
            let outcome = root.remove(name.as_bytes(), true);
            stop.store(true, Ordering::Relaxed);
            // Losing the race may be an error, and then doing it again in peace succeeds.
            if outcome.is_err() {
                let again = root.remove(name.as_bytes(), true);
                assert!(again.is_ok() || again.unwrap_err().code == Code::NotFound);
            }
        });
        assert!(!scratch.path().join(&base).exists());
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 50);
    for n in 0..50 {
        assert_eq!(
            std::fs::read(outside.join(format!("canary{n}"))).unwrap(),
            b"canary"
        );
    }
}

#[test]
fn a_directory_moved_away_while_it_is_emptied_is_not_climbed_out_of() {
    let scratch = Scratch::new();
    scratch.dir("root/t/child");
    let elsewhere = scratch.dir("elsewhere");
    let open = |path: &str| OwnedFd::from(std::fs::File::open(scratch.path().join(path)).unwrap());
    let parent = open("root/t");
    let id = stat_fd(parent.as_fd()).unwrap().id();
    let child = open("root/t/child");
    std::fs::rename(scratch.path().join("root/t/child"), elsewhere.join("child")).unwrap();
    let mut level = Level {
        dir: None,
        id,
        inside: Vec::new(),
        name_len: 1,
        passes: 0,
    };
    assert_eq!(reach(&mut level, Some(&child)).err(), Some(Errno::STALE));
}

#[test]
fn stops_when_told() {
    let scratch = Scratch::new();
    let root = root(&scratch);
    scratch.dir("root/d/e");
    let stopped = root
        .remove_until(b"d", true, &AtomicBool::new(true))
        .unwrap_err();
    assert_eq!(
        (stopped.code, stopped.path.as_slice()),
        (Code::Aborted, &b"d"[..])
    );
    assert!(scratch.path().join("root/d/e").exists());
}
