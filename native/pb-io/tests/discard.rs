//! A receiver that discards: everything is verified, nothing appears.

#[allow(dead_code)]
mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pb_io::error::Code;
use pb_io::fs::{Resolve, Root};
use pb_io::job::{JobError, State, Status, get};
use pb_io::recv::{RecvJob, RecvOptions};
use pb_io::send::SendJob;

use common::{Scratch, entries, recv_options, root, send_options, sessions, status};

fn discarding(root: Root, base: &[u8]) -> RecvOptions {
    RecvOptions {
        base: base.to_vec(),
        discard: true,
        ..recv_options(root)
    }
}

/// The receiver's state and status.
fn run(from: &Path, receive: RecvOptions) -> Result<(State, Arc<Status>), JobError> {
    let (a, b) = sessions(16 << 20, 0);
    let (received, end) = status();
    RecvJob::start(&b, receive, Arc::clone(&received), None)?;
    let source = root(from);
    let (sent, _) = status();
    let sender = SendJob::start(&a, send_options(source.clone()), sent).unwrap();
    sender.push(entries(&source));
    sender.finish();
    let state = end.recv_timeout(Duration::from_secs(60)).unwrap();
    a.end(None);
    Ok((state, received))
}

fn fill(dir: &Path) {
    fs::create_dir(dir.join("folder")).unwrap();
    fs::write(dir.join("large"), vec![7; 700_000]).unwrap();
    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    fs::write(dir.join("folder/small"), b"small").unwrap();
    symlink("small", dir.join("folder/link")).unwrap();
}

#[test]
fn everything_is_counted_and_nothing_appears() {
    let s = Scratch::new();
    fill(&s.path("a"));
    // Also where not even the folder is there.
    for base in [b"".as_slice(), b"no/such/folder"] {
        let receive = discarding(root(&s.path("b")), base);
        let (state, status) = run(&s.path("a"), receive).unwrap();
        assert_eq!(state, State::Done, "{:?}", status.errors());
        let c = &status.counters;
        assert_eq!(get(&c.bytes), 700_000 + (1 << 20) + 5);
        assert_eq!(
            (get(&c.files), get(&c.directories), get(&c.symlinks)),
            (3, 1, 1)
        );
        let large = status.hashes().into_iter().find(|h| h.path == b"large");
        assert_eq!(large.unwrap().hash, *blake3::hash(&[7; 700_000]).as_bytes());
        assert_eq!(fs::read_dir(s.path("b")).unwrap().count(), 0);
    }
}

#[test]
fn what_is_there_stays_and_is_skipped_or_in_the_way_as_ever() {
    let s = Scratch::new();
    fill(&s.path("a"));
    fs::create_dir(s.path("b/large")).unwrap();
    fs::write(s.path("b/folder"), b"a file").unwrap();
    let receive = discarding(root(&s.path("b")), b"");
    let (state, status) = run(&s.path("a"), receive).unwrap();
    assert_eq!(state, State::Partial);
    let codes: Vec<Code> = status.errors().iter().map(|e| e.code).collect();
    assert!(codes.contains(&Code::IsADirectory) && codes.contains(&Code::NotADirectory));
    assert_eq!(fs::read(s.path("b/folder")).unwrap(), b"a file");
    assert_eq!(fs::read_dir(s.path("b")).unwrap().count(), 2);
}

#[test]
fn a_place_that_can_not_be_written_to_is_refused() {
    let s = Scratch::new();
    let to = s.path("b");
    let code = |receive| run(&s.path("a"), receive).err().map(|e| e.code);
    assert_eq!(
        code(discarding(
            Root::open(&to, Resolve::Beneath, false).unwrap(),
            b""
        )),
        Some(Code::ReadOnly)
    );
    assert_eq!(
        code(discarding(root(&to), b"../a")),
        Some(Code::PathEscapes)
    );
    symlink(s.path("a"), to.join("out")).unwrap();
    assert_eq!(
        code(discarding(root(&to), b"out/x")),
        Some(Code::PathEscapes)
    );
    fs::set_permissions(&to, fs::Permissions::from_mode(0o555)).unwrap();
    if !rustix::process::geteuid().is_root() {
        let refused = code(discarding(root(&to), b"new"));
        assert_eq!(refused, Some(Code::PermissionDenied));
    }
}
