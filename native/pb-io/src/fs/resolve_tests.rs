use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::super::testing::Scratch;
use super::*;

fn component() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "f", "..", ".", "l0", "l1", "l2", "l3", "none",
    ])
}

/// A link's text: a few components, sometimes absolute, sometimes with a slash at the end.
fn target() -> impl Strategy<Value = String> {
    (prop::collection::vec(component(), 1..4), 0..8u8).prop_map(|(names, shape)| {
        let (head, tail) = (
            ["", "/"][usize::from(shape == 0)],
            ["", "/"][usize::from(shape == 1)],
        );
        format!("{head}{}{tail}", names.join("/"))
    })
}

fn inode(result: Result<OwnedFd, Failure>) -> Result<(u64, u64), Failure> {
    let raw = fstat(result?)?;
    Ok((raw.st_dev, raw.st_ino))
}

proptest! {
    /// The walk answers what the kernel's RESOLVE_BENEATH answers, whatever the links.
    #[test]
    fn walk_agrees_with_openat2(
        targets in prop::collection::vec(target(), 4),
        names in prop::collection::vec(component(), 1..5),
        follow in any::<bool>(),
    ) {
        let scratch = Scratch::quick();
        scratch.dir("root/a/b");
        scratch.dir("root/b/a");
        for file in ["root/f", "root/a/f", "f", "none"] {
            std::fs::write(scratch.path().join(file), b"").unwrap();
        }
        for (n, target) in targets.iter().enumerate() {
            let folder = ["root", "root/a", "root/b", "root/a/b"][n];
            symlink(target, scratch.path().join(folder).join(format!("l{n}"))).unwrap();
            let _ = symlink(target, scratch.path().join(format!("root/l{n}")));
        }
        let root = std::fs::File::open(scratch.path().join("root")).unwrap();
        let path = names.join("/");
        if let Ok(clean) = super::super::normalise("open", std::ffi::OsStr::new(&path).as_bytes()) {
            let flags = OFlags::PATH | if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
            let answer = |engine| inode(open(engine, root.as_fd(), &clean, flags, Mode::empty()));
            prop_assert_eq!(answer(Engine::Walk), answer(Engine::Openat2), "{} {:?}", path, targets);
        }
    }
}
