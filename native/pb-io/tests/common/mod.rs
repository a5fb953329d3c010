//! What tests of whole jobs have in common: folders, files, the options of a plain job, and how it ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use pb_io::fs::{Meta, Resolve, Root, Walker};
use pb_io::job::{State, Status, Update};
use pb_io::recv::{Overwrite, RecvOptions};
use pb_io::send::{Entry, SendOptions};
use pb_io::session::{Session, SessionOptions, join};

/// A folder with `a` and `b` in it, gone when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("pb-test-{}-{n}", std::process::id()));
        fs::create_dir_all(dir.join("a")).expect("a scratch folder");
        fs::create_dir_all(dir.join("b")).expect("a scratch folder");
        Scratch(dir)
    }

    pub fn path(&self, p: &str) -> PathBuf {
        self.0.join(p)
    }

    /// Names at the destination that are no file's own.
    pub fn parts(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(self.path("b")).expect("the destination");
        let paths = all.map(|e| e.expect("an entry").path());
        paths
            .filter(|p| p.extension().is_some_and(|e| e == "part"))
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes that no compression, hash or pattern makes fewer of.
pub fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9) | 1;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..n).map(next).collect()
}

/// A job's status, and where its end is told.
pub fn status() -> (Arc<Status>, Receiver<State>) {
    let (tell, end) = channel();
    let tell = Mutex::new(tell);
    let listener = move |_: &Status, update: Update| {
        if let Update::Ended(state, _) = update {
            let _ = tell.lock().expect("not poisoned").send(state);
        }
    };
    (Status::new(None, Box::new(listener)), end)
}

pub fn root(path: &Path) -> Root {
    Root::open(path, Resolve::Beneath, true).expect("a root")
}

/// What a job is told of a file that was found at `path`.
pub fn entry((path, meta): (Vec<u8>, Meta)) -> Entry {
    Entry {
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
    }
}

pub fn entries(root: &Root) -> Vec<Entry> {
    let walker = Walker::new(root.clone(), b"", false).expect("a listing");
    walker.map(|item| entry(item.expect("an entry"))).collect()
}

/// Job 1, straight below `root`.
pub fn recv_options(root: Root) -> RecvOptions {
    RecvOptions {
        job: 1,
        root,
        base: Vec::new(),
        exact_name: false,
        overwrite: Overwrite::IfDifferent,
        fsync: true,
        perms: true,
        owner: false,
        stream: None,
        discard: false,
        reread: false,
    }
}

/// Job 1 in small chunks, so that small files have several.
pub fn send_options(root: Root) -> SendOptions {
    SendOptions {
        job: 1,
        roots: vec![root],
        chunk_bytes: 64 << 10,
        parallel_files: 4,
        follow: false,
        remove_sources: false,
    }
}

/// Two sessions joined in this process; `limit` (bytes a second, 0 for none) bounds the first.
pub fn sessions(memory: u64, limit: u64) -> (Arc<Session>, Arc<Session>) {
    let session = |limit| {
        let options = SessionOptions {
            memory,
            limit,
            seal: true,
        };
        Session::new(options).expect("a session")
    };
    let (a, b) = (session(limit), session(0));
    join(&a, &b).expect("joined sessions");
    (a, b)
}
