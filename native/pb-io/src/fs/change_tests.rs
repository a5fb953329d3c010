use std::os::unix::fs::symlink;

use super::super::Resolve;
use super::super::testing::Scratch;
use super::*;

fn roots(scratch: &Scratch) -> [Root; 2] {
    let root = Root::open(scratch.path(), Resolve::Beneath, true).unwrap();
    let walking = root.walking();
    [root, walking]
}

fn code<T>(result: Result<T, FsError>) -> Code {
    result.err().expect("must be refused").code
}

#[test]
fn mkdir_makes_parents_only_when_asked() {
    for n in 0..2 {
        let scratch = Scratch::new();
        let root = &roots(&scratch)[n];
        assert_eq!(code(root.mkdir(b"a/b/c", false, 0)), Code::NotFound);
        assert!(root.mkdir(b"a/b/c", true, 0).unwrap());
        assert!(!root.mkdir(b"a/b/c", true, 0).unwrap());
        assert_eq!(code(root.mkdir(b"a/b", false, 0)), Code::Exists);
        assert!(!root.mkdir(b"", true, 0).unwrap());
        root.touch(b"f", None, true).unwrap();
        assert_eq!(code(root.mkdir(b"f", true, 0)), Code::Exists);
        assert_eq!(code(root.mkdir(b"f/x", true, 0)), Code::NotADirectory);
        symlink("a", scratch.path().join("l")).unwrap();
        assert!(root.mkdir(b"l/x", true, 0).unwrap());
        symlink("none", scratch.path().join("dangling")).unwrap();
        assert_eq!(code(root.mkdir(b"dangling", true, 0)), Code::Exists);
    }
}

#[test]
fn mkdir_sets_the_mode_exactly_but_drops_special_bits() {
    let scratch = Scratch::new();
    let [root, _] = roots(&scratch);
    root.mkdir(b"a", false, 0o7777).unwrap();
    assert_eq!(root.stat(b"a", false).unwrap().mode, 0o777);
    root.mkdir(b"b", false, 0o500).unwrap();
    assert_eq!(root.stat(b"b", false).unwrap().mode, 0o500);
}

#[test]
fn touch_makes_and_stamps() {
    for n in 0..2 {
        let scratch = Scratch::new();
        let root = &roots(&scratch)[n];
        assert_eq!(code(root.touch(b"f", None, false)), Code::NotFound);
        root.touch(b"f", Some(1_600_000_000_000_000_001), true)
            .unwrap();
        assert_eq!(
            root.stat(b"f", false).unwrap().mtime_ns,
            1_600_000_000_000_000_001
        );
        root.touch(b"f", None, true).unwrap();
        assert!(root.stat(b"f", false).unwrap().mtime_ns > 1_700_000_000_000_000_000);
        symlink("f", scratch.path().join("l")).unwrap();
        root.touch(b"l", Some(7), true).unwrap();
        assert_eq!(root.stat(b"f", false).unwrap().mtime_ns, 7);
        root.touch(b"", Some(9), false).unwrap();
        symlink("none", scratch.path().join("dangling")).unwrap();
        assert_eq!(code(root.touch(b"dangling", None, true)), Code::NotFound);
    }
}

#[test]
fn rename_refuses_existing_unless_told() {
    let scratch = Scratch::new();
    let [root, _] = roots(&scratch);
    std::fs::write(scratch.path().join("a"), b"a").unwrap();
    std::fs::write(scratch.path().join("b"), b"b").unwrap();
    assert_eq!(code(root.rename(b"a", b"b", false)), Code::Exists);
    assert_eq!(std::fs::read(scratch.path().join("b")).unwrap(), b"b");
    root.rename(b"a", b"b", true).unwrap();
    assert_eq!(std::fs::read(scratch.path().join("b")).unwrap(), b"a");
    assert_eq!(code(root.rename(b"a", b"c", false)), Code::NotFound);
    assert_eq!(code(root.rename(b"b", b"none/c", false)), Code::NotFound);
    scratch.dir("d/e");
    root.rename(b"b", b"d/e/b", false).unwrap();
    assert_eq!(root.stat(b"d/e/b", false).unwrap().size, 1);
    assert_eq!(code(root.rename(b"", b"x", false)), Code::InvalidPath);
}

#[test]
fn rename_onto_another_name_of_the_same_file_keeps_both() {
    let scratch = Scratch::new();
    let [root, _] = roots(&scratch);
    std::fs::write(scratch.path().join("a"), b"a").unwrap();
    std::fs::hard_link(scratch.path().join("a"), scratch.path().join("b")).unwrap();
    assert_eq!(code(root.rename(b"a", b"b", true)), Code::SameFile);
    assert_eq!(code(root.rename(b"a", b"a", true)), Code::SameFile);
    assert_eq!(root.stat(b"a", false).unwrap().nlink, 2);
}

#[test]
fn rename_moves_links_not_their_targets() {
    let scratch = Scratch::new();
    let [root, _] = roots(&scratch);
    scratch.dir("target");
    symlink("target", scratch.path().join("l")).unwrap();
    root.rename(b"l", b"m", false).unwrap();
    assert_eq!(root.read_link(b"m").unwrap(), b"target");
    assert_eq!(root.stat(b"target", false).unwrap().kind, Kind::Directory);
}

#[test]
fn no_replace_without_kernel_help() {
    let scratch = Scratch::new();
    let dir = || OwnedFd::from(std::fs::File::open(scratch.path()).unwrap());
    std::fs::write(scratch.path().join("a"), b"a").unwrap();
    std::fs::write(scratch.path().join("b"), b"b").unwrap();
    let refused = link_or_check((&dir(), b"a"), (&dir(), b"b"), false);
    assert_eq!(refused, Err(Errno::EXIST));
    link_or_check((&dir(), b"a"), (&dir(), b"c"), false).unwrap();
    assert_eq!(std::fs::read(scratch.path().join("c")).unwrap(), b"a");
    assert!(!scratch.path().join("a").exists());
    scratch.dir("d");
    assert_eq!(
        link_or_check((&dir(), b"d"), (&dir(), b"b"), true),
        Err(Errno::EXIST)
    );
    link_or_check((&dir(), b"d"), (&dir(), b"e"), true).unwrap();
    assert!(scratch.path().join("e").is_dir());
}

#[test]
fn a_read_only_root_changes_nothing() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("f"), b"x").unwrap();
    let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
    assert_eq!(code(root.mkdir(b"d", true, 0)), Code::ReadOnly);
    assert_eq!(code(root.touch(b"f", None, true)), Code::ReadOnly);
    assert_eq!(code(root.rename(b"f", b"g", true)), Code::ReadOnly);
    assert_eq!(code(root.remove(b"f", true)), Code::ReadOnly);
    assert_eq!(std::fs::read(scratch.path().join("f")).unwrap(), b"x");
}
