//! A receiver that discards: everything is verified, nothing appears.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pb_io::error::Code;
use pb_io::fs::{Resolve, Root, Walker};
use pb_io::job::{JobError, State, Status, Update, get};
use pb_io::recv::{Overwrite, RecvJob, RecvOptions};
use pb_io::send::{Entry, SendJob, SendOptions};
use pb_io::session::{Session, SessionOptions, join};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("pb-discard-{name}-{}", std::process::id()));
        fs::create_dir_all(dir.join("a/folder")).unwrap();
        fs::create_dir_all(dir.join("b")).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn root(path: &Path, writable: bool) -> Root {
    Root::open(path, Resolve::Beneath, writable).unwrap()
}

fn entries(root: &Root) -> Vec<Entry> {
    let walker = Walker::new(root.clone(), b"", false).unwrap();
    let entry = |(path, meta): (Vec<u8>, pb_io::fs::Meta)| Entry {
        root: 0,
        source: path.clone(),
        target: path,
        kind: meta.kind,
        size: meta.size,
        mtime_ns: meta.mtime_ns,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        inode: meta.inode,
        link_target: meta.link_target.unwrap_or_default(),
        pipe: None,
    };
    walker.map(|item| entry(item.unwrap())).collect()
}

fn discarding(root: Root, base: &[u8]) -> RecvOptions {
    RecvOptions {
        job: 1,
        root,
        base: base.to_vec(),
        exact_name: false,
        overwrite: Overwrite::IfDifferent,
        fsync: true,
        perms: true,
        owner: false,
        stream: None,
        discard: true,
    }
}

/// The receiver's state and status.
fn run(from: &Path, receive: RecvOptions) -> Result<(State, Arc<Status>), JobError> {
    let options = SessionOptions {
        memory: 16 << 20,
        limit: 0,
        seal: true,
    };
    let (a, b) = (
        Session::new(options).unwrap(),
        Session::new(options).unwrap(),
    );
    join(&a, &b).unwrap();
    let (tell, end) = channel();
    let tell = Mutex::new(tell);
    let on_end = move |_: &Status, update| {
        if let Update::Ended(state, _) = update {
            let _ = tell.lock().unwrap().send(state);
        }
    };
    let received = Status::new(None, Box::new(on_end));
    RecvJob::start(&b, receive, Arc::clone(&received), None)?;
    let source = root(from, true);
    let send = SendOptions {
        job: 1,
        roots: vec![source.clone()],
        chunk_bytes: 64 << 10,
        parallel_files: 4,
        follow: false,
        remove_sources: false,
    };
    let sender = SendJob::start(&a, send, Status::new(None, Box::new(|_, _| {}))).unwrap();
    sender.push(entries(&source));
    sender.finish();
    let state = end.recv_timeout(Duration::from_secs(60)).unwrap();
    a.end(None);
    Ok((state, received))
}

fn fill(dir: &Path) {
    fs::write(dir.join("large"), vec![7; 700_000]).unwrap();
    let sparse = fs::File::create(dir.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    fs::write(dir.join("folder/small"), b"small").unwrap();
    symlink("small", dir.join("folder/link")).unwrap();
}

#[test]
fn everything_is_counted_and_nothing_appears() {
    let s = Scratch::new("all");
    fill(&s.0.join("a"));
    // Also where not even the folder is there.
    for base in [b"".as_slice(), b"no/such/folder"] {
        let receive = discarding(root(&s.0.join("b"), true), base);
        let (state, status) = run(&s.0.join("a"), receive).unwrap();
        assert_eq!(state, State::Done, "{:?}", status.errors());
        let c = &status.counters;
        assert_eq!(get(&c.bytes), 700_000 + (1 << 20) + 5);
        assert_eq!(
            (get(&c.files), get(&c.directories), get(&c.symlinks)),
            (3, 1, 1)
        );
        let large = status.hashes().into_iter().find(|h| h.path == b"large");
        assert_eq!(large.unwrap().hash, *blake3::hash(&[7; 700_000]).as_bytes());
        assert_eq!(fs::read_dir(s.0.join("b")).unwrap().count(), 0);
    }
}

#[test]
fn what_is_there_stays_and_is_skipped_or_in_the_way_as_ever() {
    let s = Scratch::new("there");
    fill(&s.0.join("a"));
    fs::create_dir(s.0.join("b/large")).unwrap();
    fs::write(s.0.join("b/folder"), b"a file").unwrap();
    let receive = discarding(root(&s.0.join("b"), true), b"");
    let (state, status) = run(&s.0.join("a"), receive).unwrap();
    assert_eq!(state, State::Partial);
    let codes: Vec<Code> = status.errors().iter().map(|e| e.code).collect();
    assert!(codes.contains(&Code::IsADirectory) && codes.contains(&Code::NotADirectory));
    assert_eq!(fs::read(s.0.join("b/folder")).unwrap(), b"a file");
    assert_eq!(fs::read_dir(s.0.join("b")).unwrap().count(), 2);
}

#[test]
fn a_place_that_can_not_be_written_to_is_refused() {
    let s = Scratch::new("refused");
    let to = s.0.join("b");
    let code = |receive| run(&s.0.join("a"), receive).err().map(|e| e.code);
    assert_eq!(
        code(discarding(root(&to, false), b"")),
        Some(Code::ReadOnly)
    );
    assert_eq!(
        code(discarding(root(&to, true), b"../a")),
        Some(Code::PathEscapes)
    );
    symlink(s.0.join("a"), to.join("out")).unwrap();
    assert_eq!(
        code(discarding(root(&to, true), b"out/x")),
        Some(Code::PathEscapes)
    );
    fs::set_permissions(&to, fs::Permissions::from_mode(0o555)).unwrap();
    if !rustix::process::geteuid().is_root() {
        let refused = code(discarding(root(&to, true), b"new"));
        assert_eq!(refused, Some(Code::PermissionDenied));
    }
}
