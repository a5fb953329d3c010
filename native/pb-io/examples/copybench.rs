//! Time of a job between two sessions of this process: `copybench FROM TO [FROM TO]…`. No wire, no JavaScript: what reading,
//! hashing, verifying and writing cost.

#[allow(dead_code)]
#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::time::Instant;

use pb_io::fs::{Resolve, Root, Walker};
use pb_io::job::get;
use pb_io::recv::{Overwrite, RecvJob, RecvOptions};
use pb_io::send::{SendJob, SendOptions};
use pb_io::session::{Session, SessionOptions, join};

use common::{entry, recv_options, root, send_options, status};

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
    let recv = RecvOptions {
        overwrite: Overwrite::Always,
        ..recv_options(root(to))
    };
    RecvJob::start(&b, recv, status().0, None).expect("a job");
    let (status, end) = status();
    let from = Root::open(from, Resolve::Beneath, false).expect("the source opens");
    let send = SendOptions {
        chunk_bytes: 1 << 20,
        ..send_options(from.clone())
    };
    let job = SendJob::start(&a, send, status.clone()).expect("a job");
    for item in Walker::new(from, b"", false).expect("the source lists") {
        job.push(vec![entry(item.expect("an entry"))]);
    }
    job.finish();
    let state = end.recv().expect("an end");
    let seconds = start.elapsed().as_secs_f64();
    let bytes = get(&status.counters.bytes);
    let files = get(&status.counters.files);
    println!(
        "{state:?} {files} files, {bytes} bytes in {seconds:.3} s: {:.2} Gbit/s, {:.0} files/s",
        bytes as f64 * 8e-9 / seconds,
        files as f64 / seconds
    );
    status.errors().iter().for_each(|e| println!("{e:?}"));
    a.end(None);
    b.end(None);
}
