use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};

use rustix::fs::{FileType, mknodat};

use super::super::testing::Scratch;
use super::*;

/// A root with an outside beside it: `outer/root` and `outer/outside/canary`.
fn outer() -> (Scratch, Vec<Root>) {
    let scratch = Scratch::quick();
    scratch.dir("root/a/b");
    scratch.dir("outside");
    std::fs::write(scratch.path().join("outside/canary"), b"canary").unwrap();
    std::fs::write(scratch.path().join("root/a/b/file"), b"content").unwrap();
    let root = Root::open(&scratch.path().join("root"), Resolve::Beneath, true).unwrap();
    let walking = root.walking();
    (scratch, vec![root, walking])
}

fn code<T>(result: Result<T, FsError>) -> Code {
    result.err().expect("must be refused").code
}

#[test]
fn both_engines_are_tried() {
    let (_scratch, roots) = outer();
    assert_eq!(roots[1].0.engine, Engine::Walk);
    assert_eq!(
        roots[0].0.engine,
        Engine::Openat2,
        "this kernel should have openat2"
    );
}

#[test]
fn refuses_names_that_escape() {
    let (_scratch, roots) = outer();
    for root in roots {
        for bad in [
            &b"../outside/canary"[..],
            b"..",
            b"/etc/passwd",
            b"a/../../outside",
        ] {
            assert_eq!(code(root.stat(bad, true)), Code::PathEscapes);
            assert_eq!(code(root.open_file(bad, true)), Code::PathEscapes);
            assert_eq!(code(root.open_dir(bad)), Code::PathEscapes);
            assert_eq!(code(root.parent(bad)), Code::PathEscapes);
            assert_eq!(code(root.sub(bad, true)), Code::PathEscapes);
            assert_eq!(code(root.mkdir(bad, true, 0)), Code::PathEscapes);
            assert_eq!(code(root.touch(bad, None, true)), Code::PathEscapes);
            assert_eq!(code(root.rename(b"a", bad, true)), Code::PathEscapes);
            assert_eq!(code(root.remove(bad, true)), Code::PathEscapes);
            assert_eq!(code(root.list(bad)), Code::PathEscapes);
        }
        assert_eq!(code(root.stat(b"a\0b", true)), Code::InvalidPath);
    }
}

#[test]
fn refuses_links_that_lead_out_relative_or_absolute() {
    let (scratch, roots) = outer();
    let inside = scratch.path().join("root");
    symlink("../outside", inside.join("relative")).unwrap();
    symlink(scratch.path().join("outside"), inside.join("absolute")).unwrap();
    symlink(inside.join("a"), inside.join("absolute-inside")).unwrap();
    symlink("a/../../outside/canary", inside.join("winding")).unwrap();
    symlink("/proc/self/root", inside.join("magic")).unwrap();
    for root in roots {
        for bad in [
            &b"relative/canary"[..],
            b"absolute/canary",
            b"absolute-inside/b/file",
            b"winding",
            b"magic/etc",
        ] {
            assert_eq!(
                code(root.open_file(bad, true)),
                Code::PathEscapes,
                "{bad:?}"
            );
            assert_eq!(code(root.stat(bad, true)), Code::PathEscapes, "{bad:?}");
        }
        assert_eq!(
            code(root.touch(b"relative/new", None, true)),
            Code::PathEscapes
        );
        assert_eq!(
            code(root.mkdir(b"relative/new/deep", true, 0)),
            Code::PathEscapes
        );
        assert_eq!(
            code(root.remove(b"relative/canary", false)),
            Code::PathEscapes
        );
        assert_eq!(
            code(root.rename(b"a", b"absolute/a", true)),
            Code::PathEscapes
        );
        assert_eq!(
            code(root.touch(b"winding", Some(1), true)),
            Code::PathEscapes
        );
        assert_eq!(code(root.sub(b"relative", true)), Code::PathEscapes);
    }
    assert_eq!(
        std::fs::read(scratch.path().join("outside/canary")).unwrap(),
        b"canary"
    );
    assert_eq!(
        std::fs::read_dir(scratch.path().join("outside"))
            .unwrap()
            .count(),
        1
    );
}

#[test]
fn follows_links_that_stay_inside() {
    let (scratch, roots) = outer();
    let inside = scratch.path().join("root");
    symlink("a/b", inside.join("down")).unwrap();
    symlink("../b/../b/./file", inside.join("a/b/around")).unwrap();
    symlink("down/around", inside.join("twice")).unwrap();
    symlink("loop", inside.join("loop")).unwrap();
    for root in roots {
        assert_eq!(root.stat(b"down/file", true).unwrap().size, 7);
        assert_eq!(root.stat(b"twice", true).unwrap().kind, Kind::File);
        assert_eq!(
            root.stat(b"twice", false).unwrap().link_target.unwrap(),
            b"down/around"
        );
        assert_eq!(root.read_link(b"down").unwrap(), b"a/b");
        let errno = root.stat(b"loop", true).unwrap_err().source;
        assert_eq!(errno, Some(Errno::LOOP));
        assert_eq!(code(root.open_file(b"twice", false)), Code::UnsupportedKind);
        assert_eq!(code(root.stat(b"a/b/file/x", true)), Code::NotADirectory);
        assert_eq!(code(root.stat(b"a/none", true)), Code::NotFound);
    }
}

#[test]
fn host_follows_links_anywhere() {
    let (scratch, _) = outer();
    symlink(
        scratch.path().join("outside"),
        scratch.path().join("root/out"),
    )
    .unwrap();
    let root = Root::open(std::path::Path::new("/"), Resolve::Host, false).unwrap();
    let path = scratch.path().join("root/out/canary");
    let relative = &path.as_os_str().as_bytes()[1..];
    assert_eq!(root.stat(relative, true).unwrap().size, 6);
}

#[test]
fn a_narrowed_root_has_no_more_rights() {
    let (_scratch, roots) = outer();
    for root in roots {
        let sub = root.sub(b"a", false).unwrap();
        assert_eq!(sub.stat(b"b/file", true).unwrap().size, 7);
        assert_eq!(code(sub.stat(b"../a", true)), Code::PathEscapes);
        assert_eq!(code(sub.mkdir(b"new", false, 0)), Code::ReadOnly);
        assert!(!sub.sub(b"b", true).unwrap().is_writable());
    }
}

#[test]
fn never_opens_a_fifo() {
    let (scratch, roots) = outer();
    let fifo = scratch.path().join("root/fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    for root in roots {
        assert_eq!(code(root.open_file(b"fifo", true)), Code::UnsupportedKind);
        assert_eq!(code(root.open_file(b"a", true)), Code::IsADirectory);
        assert_eq!(root.stat(b"fifo", true).unwrap().kind, Kind::Other);
    }
    // A writer finds no reader.
    let nonblocking = OFlags::NONBLOCK.bits() as i32;
    let writer = File::options()
        .write(true)
        .custom_flags(nonblocking)
        .open(&fifo);
    assert_eq!(
        writer.unwrap_err().raw_os_error(),
        Some(Errno::NXIO.raw_os_error())
    );
}

#[test]
fn opens_files_for_blocking_reads() {
    let (_scratch, roots) = outer();
    for root in roots {
        let file = root.open_file(b"a//b/./file", false).unwrap();
        let flags = rustix::fs::fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        assert_eq!(std::io::read_to_string(file).unwrap(), "content");
    }
}

#[test]
fn parent_gives_a_directory_that_can_be_synced() {
    let (_scratch, roots) = outer();
    for root in roots {
        let (dir, name) = root.parent(b"a/b/new/").unwrap();
        assert_eq!(name, b"new");
        super::super::sync_dir(&dir).unwrap();
        assert_eq!(root.parent(b"top").unwrap().1, b"top");
        assert_eq!(code(root.parent(b"")), Code::InvalidPath);
    }
}

#[test]
fn names_of_255_bytes_work_and_256_do_not() {
    let (_scratch, roots) = outer();
    for (n, root) in roots.into_iter().enumerate() {
        let name = vec![b'0' + n as u8; 255];
        root.touch(&name, None, true).unwrap();
        assert_eq!(root.stat(&name, false).unwrap().kind, Kind::File);
        assert_eq!(
            code(root.touch(&[b'x'; 256], None, true)),
            Code::InvalidPath
        );
    }
}

#[test]
fn tells_free_space() {
    let (_scratch, roots) = outer();
    let space = roots[0].free_space(b"a").unwrap();
    assert!(space.total > 0 && space.available <= space.total);
    assert_eq!(code(roots[0].free_space(b"none")), Code::NotFound);
}

/// T2: someone keeps exchanging a directory with a link that leads out.
#[test]
fn a_swapped_link_never_leads_a_change_out() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (scratch, roots) = outer();
    let at = |name: &str| scratch.path().join(name);
    symlink(at("outside"), at("root/link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(CWD, at("root/a"), CWD, at("root/link"), flags);
            }
        });
        let mut inside = 0;
        for n in 0..1000 {
            let root = &roots[n % 2];
            inside += u32::from(root.touch(b"a/new", Some(1), true).is_ok());
            inside += u32::from(root.mkdir(b"a/deep/er", true, 0o700).is_ok());
            let _ = root.rename(b"a/new", b"a/newer", true);
            let _ = root.rename(b"a/canary", b"stolen", true);
            let _ = root.remove(b"a/deep", true);
            let _ = root.remove(b"a/canary", false);
            assert!(root.open_file(b"a/canary", true).is_err());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(inside > 0);
    });
    assert_eq!(std::fs::read(at("outside/canary")).unwrap(), b"canary");
    assert_eq!(std::fs::read_dir(at("outside")).unwrap().count(), 1);
    assert!(!at("root/stolen").exists());
}
