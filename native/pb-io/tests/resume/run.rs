//! One run of a job between two sessions of this process, its records, and its death.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pb_io::job::{JobError, State, Status, get};
use pb_io::recv::checkpoint::{Batch, CheckpointOptions, DONE_RECORD, PartRecord};
use pb_io::recv::{Overwrite, RecvJob, RecvOptions};
use pb_io::send::{Entry, SendJob, SendOptions};
use pb_io::session::Session;
use pb_io::source::FileKey;

use crate::common::{self, Scratch, entries, root, status};

pub const CHUNK: u64 = 64 << 10;
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller has on stable storage.
#[derive(Default, Clone)]
pub struct Records {
    pub parts: BTreeMap<FileKey, PartRecord>,
    pub done: Vec<(FileKey, [u8; 32])>,
    /// Of the last run.
    pub batches: u32,
    /// Sizes of finished files.
    done_bytes: BTreeMap<FileKey, u64>,
}

impl Records {
    fn apply(&mut self, batch: &Batch) {
        self.batches += 1;
        assert!(
            batch.gone.len().is_multiple_of(16) && batch.done.len().is_multiple_of(DONE_RECORD)
        );
        for key in batch.gone.as_chunks::<16>().0 {
            assert!(self.parts.remove(key).is_some(), "gone, but never there");
        }
        for part in &batch.parts {
            match self.parts.get_mut(&part.key) {
                Some(there) if there.inode == part.inode => {
                    there.chunks.extend_from_slice(&part.chunks);
                }
                _ => _ = self.parts.insert(part.key, part.clone()),
            }
        }
        for record in batch.done.as_chunks::<DONE_RECORD>().0 {
            let hash = *record.last_chunk().unwrap();
            let key = *record.first_chunk().unwrap();
            self.done.push((key, hash));
            let size = record[16..24].try_into().unwrap();
            self.done_bytes.insert(key, u64::from_be_bytes(size));
        }
    }

    /// Bytes of chunks that are recorded as durable.
    pub fn durable(&self) -> u64 {
        self.parts.values().map(part_bytes).sum()
    }

    /// What they hold of files beyond what `before` held of the same ones.
    pub fn gained(&self, before: &Records) -> u64 {
        let (now, before) = (self.by_file(), before.by_file());
        now.iter()
            .map(|(key, bytes)| bytes.saturating_sub(before.get(key).copied().unwrap_or(0)))
            .sum()
    }

    fn by_file(&self) -> BTreeMap<FileKey, u64> {
        let parts = self.parts.iter().map(|(key, p)| (*key, part_bytes(p)));
        let done = self.done_bytes.iter().map(|(key, size)| (*key, *size));
        parts.chain(done).collect()
    }
}

fn part_bytes(part: &PartRecord) -> u64 {
    let mut rest = part.chunks.as_slice();
    let mut n = 0;
    while let Some((_, tail)) = rest.split_first_chunk::<8>() {
        let (count, tail) = tail.split_first_chunk::<4>().unwrap();
        let count = u64::from(u32::from_be_bytes(*count));
        rest = &tail[count as usize * 32..];
        n += count;
    }
    n * part.chunk_bytes
}

/// How a run is set up.
#[derive(Clone)]
pub struct Setup {
    pub chunk: u32,
    pub memory: u64,
    pub limit: u64,
    pub flush_bytes: u64,
    pub flush: Duration,
    pub overwrite: Overwrite,
    pub move_sources: bool,
    pub placed_since_ns: Option<i64>,
    /// After so many batches no further is recorded or confirmed: the receiving process was killed.
    pub batches: u32,
}

pub const SETUP: Setup = Setup {
    chunk: CHUNK as u32,
    memory: 8 << 20,
    limit: 0,
    flush_bytes: 4 * CHUNK,
    flush: Duration::from_millis(50),
    overwrite: Overwrite::IfDifferent,
    move_sources: false,
    placed_since_ns: None,
    batches: u32::MAX,
};

/// How a run ended.
pub struct Ran {
    pub state: State,
    pub sent: Arc<Status>,
    pub received: Arc<Status>,
}

impl Ran {
    pub fn resumed(&self) -> (u64, u64, u64) {
        let c = &self.received.counters;
        let counts = |c: &pb_io::job::Counters| {
            (
                get(&c.resumed_files),
                get(&c.resumed_bytes),
                get(&c.redone_files),
            )
        };
        assert_eq!(counts(c), counts(&self.sent.counters), "both ends agree");
        counts(c)
    }

    pub fn errors(&self) -> Vec<JobError> {
        self.received.errors()
    }
}

pub fn recv_options(to: &Path, setup: &Setup) -> RecvOptions {
    RecvOptions {
        overwrite: setup.overwrite,
        ..common::recv_options(root(to))
    }
}

pub fn send_options(from: &Path, setup: &Setup) -> SendOptions {
    SendOptions {
        chunk_bytes: setup.chunk,
        remove_sources: setup.move_sources,
        ..common::send_options(root(from))
    }
}

/// Two joined sessions as the setup says.
pub fn sessions(setup: &Setup) -> (Arc<Session>, Arc<Session>) {
    common::sessions(setup.memory, setup.limit)
}

/// The receiving process: its records outlive it.
pub struct Keeper {
    pub records: Arc<Mutex<Records>>,
    pub batches: Receiver<Batch>,
    pub job: Arc<RecvJob>,
    status: Arc<Status>,
}

impl Keeper {
    /// Starts the receiving job.
    pub fn start(
        session: &Arc<Session>,
        (options, setup): (RecvOptions, &Setup),
        status: Arc<Status>,
        records: &Records,
    ) -> Keeper {
        let (tell, batches) = channel();
        let tell = Mutex::new(tell);
        let checkpoint = CheckpointOptions {
            parts: records.parts.values().cloned().collect(),
            done: records.done.clone(),
            flush_bytes: setup.flush_bytes,
            flush: setup.flush,
            name_tag: None,
            placed_since_ns: setup.placed_since_ns,
            on_batch: Box::new(move |batch| _ = tell.lock().unwrap().send(batch)),
        };
        let of_job = Arc::clone(&status);
        let job = RecvJob::start(session, options, of_job, Some(checkpoint)).unwrap();
        let records = Arc::new(Mutex::new(Records {
            batches: 0,
            ..records.clone()
        }));
        Keeper {
            records,
            batches,
            job,
            status,
        }
    }

    /// Records batches until the job ends, or `limit` of them.
    pub fn keep(&self, limit: u32) {
        while self.records.lock().unwrap().batches < limit {
            match self.batches.recv_timeout(Duration::from_millis(5)) {
                Ok(batch) => {
                    self.records.lock().unwrap().apply(&batch);
                    self.job.confirm(batch.number);
                }
                Err(_) if self.status.has_ended() => return,
                Err(_) => {}
            }
        }
    }

    /// Records what comes within a moment.
    pub fn keep_what_comes(&self) {
        if let Ok(batch) = self.batches.recv_timeout(Duration::from_millis(1)) {
            self.records.lock().unwrap().apply(&batch);
            self.job.confirm(batch.number);
        }
    }

    pub fn records(&self) -> Records {
        self.records.lock().unwrap().clone()
    }
}

/// Runs a job between two folders, going on with `records`, which are those of its end afterwards.
pub fn run(s: &Scratch, setup: &Setup, records: &mut Records) -> Ran {
    let list = entries(&send_options(&s.path("a"), setup).roots[0]);
    run_entries(s, setup, records, list)
}

pub fn run_entries(s: &Scratch, setup: &Setup, records: &mut Records, list: Vec<Entry>) -> Ran {
    let (a, b) = sessions(setup);
    run_over(s, (&a, &b), (setup, list), records)
}

pub fn run_over(
    s: &Scratch,
    (a, b): (&Arc<Session>, &Arc<Session>),
    (setup, list): (&Setup, Vec<Entry>),
    records: &mut Records,
) -> Ran {
    let ((sent, send_end), (received, recv_end)) = (status(), status());
    let options = recv_options(&s.path("b"), setup);
    let keeper = Keeper::start(b, (options, setup), Arc::clone(&received), records);
    let send = send_options(&s.path("a"), setup);
    let job = SendJob::start(a, send, Arc::clone(&sent)).unwrap();
    job.push(list);
    job.finish();
    let limit = setup.batches;
    let keeping = std::thread::spawn(move || {
        keeper.keep(limit);
        // What a killed process had told nobody is not known.
        keeper.records()
    });
    if limit != u32::MAX {
        *records = keeping.join().unwrap();
        a.end(None);
        b.end(None);
        recv_end.recv_timeout(PATIENCE).expect("the job ends");
        let state = send_end.recv_timeout(PATIENCE).expect("the job ends");
        return Ran {
            state,
            sent,
            received,
        };
    }
    let state = send_end.recv_timeout(PATIENCE).expect("the job ends");
    recv_end.recv_timeout(PATIENCE).expect("the job ends");
    *records = keeping.join().unwrap();
    a.end(None);
    b.end(None);
    Ran {
        state,
        sent,
        received,
    }
}
