//! Time of a job between two sessions of this process: `copybench FROM TO [FROM TO]…`. No wire, no JavaScript: what reading,
//! hashing, verifying and writing cost.

use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pb_io::fs::{Resolve, Root, Walker};
use pb_io::job::{Status, Update, get};
use pb_io::recv::{Overwrite, RecvJob, RecvOptions};
use pb_io::send::{Entry, SendJob, SendOptions};
use pb_io::session::{Session, SessionOptions, join};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    for pair in args.chunks_exact(2) {
        copy(Path::new(&pair[0]), Path::new(&pair[1]));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the destination can be made");
    let start = Instant::now();
    let options = SessionOptions {
        memory: 256 << 20,
        limit: 0,
        seal: false,
    };
    let (a, b) = (
        Session::new(options).expect("threads"),
        Session::new(options).expect("threads"),
    );
    join(&a, &b).expect("threads");
    let (tell, end) = channel();
    let tell = Mutex::new(tell);
    let listener = move |_: &Status, update: Update| {
        if let Update::Ended(state, errors) = update {
            let _ = tell.lock().expect("not poisoned").send((state, errors));
        }
    };
    let recv = RecvOptions {
        job: 1,
        root: Root::open(to, Resolve::Beneath, true).expect("the destination opens"),
        base: Vec::new(),
        exact_name: false,
        overwrite: Overwrite::Always,
        fsync: true,
        perms: true,
        owner: false,
        stream: None,
        discard: false,
    };
    let quiet = Status::new(None, Box::new(|_, _| {}));
    RecvJob::start(&b, recv, quiet, None).expect("a job");
    let status = Status::new(None, Box::new(listener));
    let root = Root::open(from, Resolve::Beneath, false).expect("the source opens");
    let send = SendOptions {
        job: 1,
        roots: vec![root.clone()],
        chunk_bytes: 1 << 20,
        parallel_files: 4,
        follow: false,
        remove_sources: false,
    };
    let job = SendJob::start(&a, send, Arc::clone(&status)).expect("a job");
    for item in Walker::new(root, b"", false).expect("the source lists") {
        let (path, m) = item.expect("an entry");
        job.push(vec![Entry {
            root: 0,
            source: path.clone(),
            target: path,
            kind: m.kind,
            size: m.size,
            mtime_ns: m.mtime_ns,
            mode: m.mode,
            uid: m.uid,
            gid: m.gid,
            inode: m.inode,
            link_target: m.link_target.unwrap_or_default(),
            pipe: None,
        }]);
    }
    job.finish();
    let (state, errors) = end.recv().expect("an end");
    let seconds = start.elapsed().as_secs_f64();
    let bytes = get(&status.counters.bytes);
    let files = get(&status.counters.files);
    println!(
        "{state:?} {files} files, {bytes} bytes in {seconds:.3} s: {:.2} Gbit/s, {:.0} files/s",
        bytes as f64 * 8e-9 / seconds,
        files as f64 / seconds
    );
    errors.iter().for_each(|e| println!("{e:?}"));
    a.end(None);
    b.end(None);
}
