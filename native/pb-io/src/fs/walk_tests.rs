use std::os::unix::fs::symlink;

use super::super::Resolve;
use super::super::testing::Scratch;
use super::*;

fn walk(scratch: &Scratch, path: &[u8], follow: bool) -> Vec<Item> {
    let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
    Walker::new(root, path, follow).unwrap().collect()
}

fn paths(items: &[Item]) -> Vec<String> {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let show = |item: &Item| match item {
        Ok((path, _)) => shown(path),
        Err(e) => format!("! {} {}", shown(&e.path), e.code),
    };
    items.iter().map(show).collect()
}

#[test]
fn a_directory_before_its_content_and_names_in_order() {
    let scratch = Scratch::new();
    scratch.dir("t/b/x");
    scratch.dir("t/a");
    for f in ["t/b.txt", "t/b/x/1", "t/b/y", "t/a/2", "t/Z"] {
        std::fs::write(scratch.path().join(f), b"1").unwrap();
    }
    let items = walk(&scratch, b"t", false);
    assert_eq!(
        paths(&items),
        ["Z", "a", "a/2", "b", "b/x", "b/x/1", "b/y", "b.txt"]
    );
    let all = walk(&scratch, b"", false);
    assert_eq!(paths(&all)[..2], ["t", "t/Z"]);
}

#[test]
fn depth_is_bounded_when_asked() {
    let scratch = Scratch::new();
    scratch.dir("a/b/c");
    let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
    let levels = |n| {
        Walker::new(root.clone(), b"", false)
            .unwrap()
            .with_max_depth(n)
            .count()
    };
    assert_eq!([levels(1), levels(2), levels(0)], [1, 2, 3]);
}

#[test]
fn a_file_is_one_entry_without_a_name() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("f"), b"12").unwrap();
    symlink("none", scratch.path().join("dangling")).unwrap();
    let items = walk(&scratch, b"f", false);
    let (path, meta) = items[0].as_ref().unwrap();
    assert_eq!((items.len(), path.len(), meta.size), (1, 0, 2));
    let link = walk(&scratch, b"dangling", false);
    assert_eq!(link[0].as_ref().unwrap().1.kind, Kind::Symlink);
    let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
    assert_eq!(
        Walker::new(root, b"none", false).err().unwrap().code,
        Code::NotFound
    );
}

#[test]
fn links_are_entries_and_loops_end() {
    let scratch = Scratch::new();
    scratch.dir("d/e");
    std::fs::write(scratch.path().join("d/f"), b"123").unwrap();
    symlink("../..", scratch.path().join("d/e/up")).unwrap();
    symlink("d/f", scratch.path().join("l")).unwrap();
    symlink("/etc", scratch.path().join("out")).unwrap();
    symlink("none", scratch.path().join("dangling")).unwrap();
    let plain = walk(&scratch, b"", false);
    assert_eq!(
        paths(&plain),
        ["d", "d/e", "d/e/up", "d/f", "dangling", "l", "out"]
    );
    let followed = walk(&scratch, b"", true);
    let want = [
        "d",
        "d/e",
        "d/e/up",
        "! d/e/up invalid_path",
        "d/f",
        "! dangling not_found",
        "l",
        "! out path_escapes",
    ];
    assert_eq!(paths(&followed), want);
    assert_eq!(followed[6].as_ref().unwrap().1.kind, Kind::File);
}

#[test]
fn deep_trees_need_few_descriptors() {
    let scratch = Scratch::new();
    let mut path = String::new();
    for n in 0..100 {
        path.push_str(&format!("level{n:03}/"));
        scratch.dir(&path);
        std::fs::write(scratch.path().join(&path).join("z"), b"").unwrap();
    }
    let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
    let mut walker = Walker::new(root, b"", false).unwrap();
    let mut seen = 0;
    while let Some(item) = walker.next() {
        item.unwrap();
        seen += 1;
        assert!(walker.levels.iter().filter(|l| l.dir.is_some()).count() <= MAX_OPEN + 1);
    }
    assert_eq!(seen, 200);
}

#[test]
fn paths_longer_than_a_path_may_be_are_errors_and_end() {
    let scratch = Scratch::new();
    let name = "n".repeat(250);
    let mut dir = OwnedFd::from(std::fs::File::open(scratch.path()).unwrap());
    for _ in 0..20 {
        rustix::fs::mkdirat(&dir, name.as_str(), Mode::RWXU).unwrap();
        dir = openat(&dir, name.as_str(), OPEN, Mode::empty()).unwrap();
    }
    let items = walk(&scratch, b"", false);
    assert_eq!(items.len(), 17);
    assert_eq!(items[16].as_ref().unwrap_err().code, Code::InvalidPath);
    let root = Root::open(scratch.path(), Resolve::Beneath, true).unwrap();
    assert_eq!(root.remove(name.as_bytes(), true).unwrap().directories, 20);
}

#[test]
fn what_vanishes_is_an_error_entry_and_the_walk_goes_on() {
    let scratch = Scratch::new();
    for f in ["a", "b", "c", "d/x", "e/x", "f"] {
        let path = scratch.path().join(f);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
    let root = Root::open(scratch.path(), Resolve::Beneath, false).unwrap();
    let mut walker = Walker::new(root, b"", false).unwrap();
    assert_eq!(walker.next().unwrap().unwrap().0, b"a");
    std::fs::remove_file(scratch.path().join("b")).unwrap();
    std::fs::remove_dir_all(scratch.path().join("d")).unwrap();
    let rest: Vec<Item> = walker.collect();
    assert_eq!(
        paths(&rest),
        ["! b not_found", "c", "! d not_found", "e", "e/x", "f"]
    );
}

#[test]
fn names_of_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new();
    let name = b"\xff\xfe\n\x1b[31m";
    scratch.dir("d");
    let dir = scratch
        .path()
        .join("d")
        .join(std::ffi::OsStr::from_bytes(name));
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join(std::ffi::OsStr::from_bytes(&[b'q'; 255])), b"").unwrap();
    let items = walk(&scratch, b"d", false);
    let want = path::join(name, &[b'q'; 255]);
    assert_eq!(items[0].as_ref().unwrap().0, name);
    assert_eq!(items[1].as_ref().unwrap().0, want);
}
