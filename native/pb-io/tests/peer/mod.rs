//! A sender without manners, and the receiving job that it talks to.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pb_io::job::{State, Status, get};
use pb_io::recv::checkpoint::{Batch, CheckpointOptions};
use pb_io::recv::{RecvJob, RecvOptions};
use pb_io::session::{Session, SessionOptions};
use pb_io::source::FileKey;
use pb_io::transport::{LaneHost, Next, OutBody, Place};
use pb_proto::message::item::{Item, Meta};
use pb_proto::message::note::{Note, Notes};
use pb_proto::message::{ChunkTrailer, Parsed, bundle_trailer, parse};

use crate::common::{recv_options, root, status};

pub const CHUNK: usize = 64 << 10;
const JOB: u32 = 1;
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Peer {
    pub dir: PathBuf,
    pub job: Arc<RecvJob>,
    pub status: Arc<Status>,
    session: Arc<Session>,
    ended: Receiver<State>,
    window: u64,
    placed: u64,
    next_id: u32,
    /// Of a job with a checkpoint.
    batches: Option<Receiver<Batch>>,
    /// Of each message that had some: how many entries got their result.
    pub results: Mutex<Vec<usize>>,
}

pub fn meta(id: u32, path: &[u8]) -> Meta<'_> {
    Meta {
        id,
        path,
        mtime_ns: 1_000_000_000,
        mode: 0o644,
        uid: 0,
        gid: 0,
    }
}

pub fn root_hash(data: &[u8]) -> [u8; 32] {
    pb_io::hash::whole(data)
}

pub fn options(dir: &Path) -> RecvOptions {
    recv_options(root(dir))
}

fn scratch() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("pb-peer-{}-{n}", std::process::id()));
    fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}

impl Peer {
    pub fn new(plant: impl FnOnce(&Path)) -> Peer {
        Peer::with(|o| o, plant)
    }

    /// A job below a fresh folder, which `plant` may fill before.
    pub fn with(set: impl FnOnce(RecvOptions) -> RecvOptions, plant: impl FnOnce(&Path)) -> Peer {
        Peer::below(scratch(), set, plant)
    }

    /// The same below a folder that is there, and goes with the peer.
    pub fn below(
        dir: PathBuf,
        set: impl FnOnce(RecvOptions) -> RecvOptions,
        plant: impl FnOnce(&Path),
    ) -> Peer {
        Peer::start(dir, set, plant, None)
    }

    /// A job that records, below a fresh folder.
    pub fn recorded(
        set: impl FnOnce(RecvOptions) -> RecvOptions,
        plant: impl FnOnce(&Path),
    ) -> Peer {
        Peer::knowing(vec![([7; 16], [7; 32])], set, plant)
    }

    /// The same where an earlier run finished files.
    pub fn knowing(
        done: Vec<(FileKey, [u8; 32])>,
        set: impl FnOnce(RecvOptions) -> RecvOptions,
        plant: impl FnOnce(&Path),
    ) -> Peer {
        let (tell, batches) = channel();
        let tell = Mutex::new(tell);
        let checkpoint = CheckpointOptions {
            parts: Vec::new(),
            done,
            flush_bytes: CHUNK as u64,
            flush: Duration::ZERO,
            name_tag: None,
            placed_since_ns: None,
            on_batch: Box::new(move |batch| _ = tell.lock().expect("not poisoned").send(batch)),
        };
        Peer::start(scratch(), set, plant, Some((checkpoint, batches)))
    }

    fn start(
        dir: PathBuf,
        set: impl FnOnce(RecvOptions) -> RecvOptions,
        plant: impl FnOnce(&Path),
        checkpoint: Option<(CheckpointOptions, Receiver<Batch>)>,
    ) -> Peer {
        plant(&dir);
        let session = Session::new(SessionOptions {
            memory: 8 << 20,
            limit: 0,
            seal: true,
        })
        .expect("a session");
        session.peer_grant(u64::MAX / 2);
        let (status, ended) = status();
        let recv = set(options(&dir));
        let (checkpoint, batches) = checkpoint.unzip();
        let job = RecvJob::start(&session, recv, Arc::clone(&status), checkpoint).expect("a job");
        Peer {
            window: session.grant(),
            dir,
            job,
            status,
            session,
            ended,
            placed: 0,
            next_id: 0,
            batches,
            results: Mutex::default(),
        }
    }

    /// Starts a second job of the same number; how it ended.
    pub fn start_again(&self, options: RecvOptions) -> State {
        let (status, ended) = status();
        assert!(RecvJob::start(&self.session, options, status, None).is_err());
        ended.recv_timeout(PATIENCE).expect("the job ends")
    }

    /// Sends a unit when there is credit; false when there is none for long, or the session is over.
    fn unit(&mut self, bytes: &[u8]) -> bool {
        let until = Instant::now() + Duration::from_secs(2);
        while self.placed + bytes.len() as u64 > self.session.grant() {
            self.drain();
            if Instant::now() > until || self.session.has_ended() {
                return false;
            }
            sleep(Duration::from_millis(1));
        }
        self.put(bytes);
        !self.session.has_ended()
    }

    fn put(&mut self, bytes: &[u8]) {
        let len = bytes.len() as u32;
        let Ok(Place::Into(unit)) = self.session.place(self.next_id, len) else {
            panic!("a place for unit {}", self.next_id)
        };
        self.next_id += 1;
        self.placed += u64::from(len);
        let mut state = unit.state.lock();
        let buffer = state.buffer.as_mut().expect("a buffer");
        buffer.as_mut_slice().copy_from_slice(bytes);
        drop(state);
        self.session.unit_complete(0, unit);
        self.drain();
    }

    /// Takes what the job answers.
    fn drain(&self) {
        while let Next::Unit(unit) = self.session.next_unit(0) {
            if let OutBody::Memory(buffer) = &unit.body
                && let Ok(Parsed::Message { notes, .. }) = parse(buffer.as_slice())
            {
                let results = Notes::new(notes).filter(|n| matches!(n, Ok(Note::Result { .. })));
                let results = Some(results.count()).filter(|n| *n > 0);
                self.results.lock().expect("not poisoned").extend(results);
            }
        }
        for batch in self.batches.iter().flat_map(Receiver::try_iter) {
            self.job.confirm(batch.number);
        }
    }

    /// Sends items, cut off after `cut` bytes.
    pub fn try_bundle(&mut self, items: &[Item<'_>], cut: Option<usize>) -> bool {
        let mut bytes = Vec::new();
        items.iter().for_each(|i| i.encode(&mut bytes));
        bytes.truncate(cut.unwrap_or(usize::MAX));
        bytes.extend_from_slice(&bundle_trailer(JOB));
        self.unit(&bytes)
    }

    pub fn bundle(&mut self, items: &[Item<'_>]) {
        assert!(self.try_bundle(items, None), "credit");
    }

    fn chunk_unit(id: u32, offset: u64, data: &[u8]) -> Vec<u8> {
        let trailer = ChunkTrailer {
            job: JOB,
            file: id,
            offset,
            chaining_value: match offset % 1024 {
                0 if offset < 1 << 62 => pb_io::hash::chunk(offset, data).chaining_value,
                _ => [0; 32],
            },
            sparse: false,
        };
        [data, &trailer.encode()].concat()
    }

    pub fn try_chunk(&mut self, id: u32, offset: u64, data: &[u8]) -> bool {
        self.unit(&Peer::chunk_unit(id, offset, data))
    }

    pub fn chunk(&mut self, id: u32, offset: u64, data: &[u8]) {
        assert!(self.try_chunk(id, offset, data), "credit");
    }

    /// Bytes that may still be sent.
    pub fn credit(&mut self) -> u64 {
        self.settle_for(Duration::from_millis(100));
        self.session.grant() - self.placed
    }

    /// Waits until what was sent has been dealt with, as far as credit tells.
    pub fn settle(&mut self) {
        self.settle_for(Duration::from_secs(2));
        // Results come from the committer.
        sleep(Duration::from_millis(60));
        self.drain();
    }

    fn settle_for(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.unsettled() > 0 && !self.session.has_ended() && Instant::now() < until {
            self.drain();
            sleep(Duration::from_millis(1));
        }
    }

    fn unsettled(&self) -> u64 {
        self.placed + self.window - self.session.grant()
    }

    /// Bytes of units whose credit did not come back; a session that is over needs none.
    pub fn outstanding(&mut self) -> u64 {
        self.settle();
        match self.session.has_ended() {
            true => 0,
            false => self.unsettled(),
        }
    }

    pub fn wait(&mut self) -> State {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.drain();
            if let Ok(state) = self.ended.recv_timeout(Duration::from_millis(2)) {
                return state;
            }
        }
        panic!("the job ends")
    }

    /// What is in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let all = fs::read_dir(&self.dir).expect("the folder");
        let name = |e: std::io::Result<fs::DirEntry>| e.expect("an entry").file_name();
        let mut names: Vec<String> = all.map(|e| name(e).to_string_lossy().into()).collect();
        names.sort();
        names
    }

    pub fn failed(&self) -> u64 {
        get(&self.status.counters.failed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.session.end(None);
        let _ = fs::remove_dir_all(&self.dir);
    }
}
