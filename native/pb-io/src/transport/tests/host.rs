//! A session in miniature: a queue of units out, a table of units in, credit by budget.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use pb_proto::sample::PathSample;
use pb_proto::units::Assembly;

use crate::buffer::Budget;
use crate::error::Code;
use crate::transport::TransportKind;
use crate::transport::{
    InState, InUnit, LaneHost, LaneId, Next, OutBody, OutUnit, Place, TransportError, Waker,
};

/// A unit to send, and what must arrive.
#[derive(Clone)]
pub struct Sent {
    pub id: u32,
    pub bytes: Vec<u8>,
    /// From a file with this many bytes of trailer behind it.
    pub from_file: Option<usize>,
}

/// Deterministic bytes (xorshift).
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    (0..len.div_ceil(8))
        .flat_map(|_| step().to_le_bytes())
        .take(len)
        .collect()
}

/// `count` units of many sizes, from one byte to 1 MiB and a trailer.
pub fn units(seed: u64, count: u32) -> Vec<Sent> {
    let sizes = [
        1,
        63,
        64,
        1200,
        1408,
        9000,
        65_536,
        262_144,
        300_001,
        1_048_576,
        1_048_576 + 77,
    ];
    (0..count)
        .map(|i| {
            let len = sizes[(seed as usize + i as usize) % sizes.len()];
            Sent {
                id: i,
                bytes: random_bytes(seed * 1000 + u64::from(i), len),
                from_file: None,
            }
        })
        .collect()
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Arc<OutUnit>>,
    pulled: HashMap<u32, bool>,
    charged_out: u64,
    peer_grant: u64,
    placing: HashMap<u32, Arc<InUnit>>,
    received: HashMap<u32, Vec<u8>>,
    charged_in: u64,
    acked: HashMap<u32, usize>,
    wakers: Vec<(LaneId, Arc<Waker>)>,
    ups: usize,
    downs: Vec<Option<TransportError>>,
    closed: Option<TransportError>,
    samples: Vec<PathSample>,
}

pub struct TestHost {
    inner: Mutex<Inner>,
    grant: AtomicU64,
    /// Completed units raise the grant.
    pub frees: AtomicBool,
    out: Budget,
    budget: Budget,
}

impl TestHost {
    pub fn new(budget: usize) -> Arc<TestHost> {
        let grant = AtomicU64::new(budget as u64);
        let inner = Mutex::default();
        let frees = AtomicBool::new(true);
        Arc::new(TestHost {
            inner,
            grant,
            frees,
            out: Budget::new(1 << 30),
            budget: Budget::new(1 << 30),
        })
    }

    pub fn send_all(&self, units: &[Sent]) {
        let made: Vec<_> = units.iter().map(|u| Arc::new(self.out_unit(u))).collect();
        let mut inner = self.inner.lock();
        inner.queue.extend(made);
        inner.wakers.iter().for_each(|(_, w)| w.wake());
    }

    fn out_unit(&self, sent: &Sent) -> OutUnit {
        let body = match sent.from_file {
            None => {
                let mut buffer = self.out.try_take(sent.bytes.len()).unwrap();
                buffer.as_mut_slice().copy_from_slice(&sent.bytes);
                OutBody::Memory(buffer)
            }
            Some(trailer) => file_body(sent, trailer),
        };
        OutUnit {
            id: sent.id,
            len: sent.bytes.len() as u32,
            always_sealed: sent.id % 5 == 4 && sent.from_file.is_none(),
            body,
        }
    }

    pub fn received(&self) -> usize {
        self.inner.lock().received.len()
    }
    pub fn acked(&self) -> usize {
        self.inner.lock().acked.len()
    }
    pub fn ups(&self) -> usize {
        self.inner.lock().ups
    }
    pub fn downs(&self) -> Vec<Option<TransportError>> {
        self.inner.lock().downs.clone()
    }
    pub fn closed(&self) -> Option<TransportError> {
        self.inner.lock().closed.clone()
    }
    /// Everything that went wrong with lanes or the session.
    pub fn failures(&self) -> Vec<String> {
        let inner = self.inner.lock();
        inner
            .downs
            .iter()
            .flatten()
            .chain(&inner.closed)
            .map(ToString::to_string)
            .collect()
    }

    pub fn last_sample(&self) -> Option<PathSample> {
        self.inner.lock().samples.last().copied()
    }

    pub fn compare(&self, sent: &[Sent]) {
        let inner = self.inner.lock();
        for unit in sent {
            let got = inner.received.get(&unit.id);
            assert!(
                got == Some(&unit.bytes),
                "unit {} of {} bytes differs",
                unit.id,
                unit.bytes.len()
            );
        }
    }

    pub fn no_sample_is_absurd(&self) {
        let inner = self.inner.lock();
        assert!(!inner.samples.is_empty());
        for s in &inner.samples {
            assert!(
                s.min_rtt_ns <= s.smoothed_rtt_ns.max(s.min_rtt_ns)
                    && s.smoothed_rtt_ns < 60_000_000_000
            );
            assert!(s.bytes_sent < 1 << 40 && s.bytes_retransmitted <= s.bytes_sent);
        }
    }
}

fn file_body(sent: &Sent, trailer: usize) -> OutBody {
    let split = sent.bytes.len() - trailer;
    let path = std::env::temp_dir().join(format!(
        "pb-lane-{}-{}-{split}",
        std::process::id(),
        sent.id
    ));
    let mut file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    // The unit's bytes lie in the middle of the file.
    file.write_all(&[0x55; 4321]).unwrap();
    file.write_all(&sent.bytes[..split]).unwrap();
    file.write_all(&[0xaa; 1234]).unwrap();
    let trailer = sent.bytes[split..].to_vec();
    OutBody::File {
        file: Arc::new(file),
        offset: 4321,
        length: split as u32,
        trailer,
    }
}

impl LaneHost for TestHost {
    fn lane_up(&self, lane: LaneId, _: TransportKind, waker: Arc<Waker>) {
        let mut inner = self.inner.lock();
        inner.ups += 1;
        inner.wakers.push((lane, waker));
    }

    fn next_unit(&self, _lane: LaneId) -> Next {
        let mut inner = self.inner.lock();
        let Some(unit) = inner.queue.front() else {
            return Next::Idle;
        };
        let (id, len) = (unit.id, u64::from(unit.len));
        let again = inner.pulled.contains_key(&id);
        if !again && inner.charged_out + len > inner.peer_grant {
            return Next::NoCredit;
        }
        if !again {
            inner.charged_out += len;
            inner.pulled.insert(id, true);
        }
        Next::Unit(inner.queue.pop_front().unwrap())
    }

    fn unit_acked(&self, _lane: LaneId, unit: Arc<OutUnit>) {
        *self.inner.lock().acked.entry(unit.id).or_default() += 1;
    }

    fn place(&self, id: u32, len: u32) -> Result<Place, TransportError> {
        let mut inner = self.inner.lock();
        if let Some(done) = inner.received.get(&id) {
            return match done.len() == len as usize {
                true => Ok(Place::AlreadyComplete),
                false => Err(TransportError::new(
                    Code::ProtocolViolation,
                    "the length of a unit changed",
                )),
            };
        }
        if let Some(unit) = inner.placing.get(&id) {
            return match unit.len == len {
                true => Ok(Place::Into(unit.clone())),
                false => Err(TransportError::new(
                    Code::ProtocolViolation,
                    "the length of a unit changed",
                )),
            };
        }
        inner.charged_in += u64::from(len);
        if inner.charged_in > self.grant.load(Ordering::SeqCst) {
            return Err(TransportError::new(
                Code::ProtocolViolation,
                "more than was granted",
            ));
        }
        let buffer = self.budget.try_take(len as usize);
        let state = Mutex::new(InState {
            assembly: Assembly::new(len),
            buffer,
        });
        let unit = Arc::new(InUnit { id, len, state });
        inner.placing.insert(id, unit.clone());
        Ok(Place::Into(unit))
    }

    fn unit_complete(&self, _lane: LaneId, unit: Arc<InUnit>) {
        let buffer = unit
            .state
            .lock()
            .buffer
            .take()
            .expect("a unit completes once");
        let mut inner = self.inner.lock();
        inner.placing.remove(&unit.id);
        inner.received.insert(unit.id, buffer.as_slice().to_vec());
        if self.frees.load(Ordering::SeqCst) {
            self.grant.fetch_add(u64::from(unit.len), Ordering::SeqCst);
        }
        inner.wakers.iter().for_each(|(_, w)| w.wake());
    }

    fn grant(&self) -> u64 {
        self.grant.load(Ordering::SeqCst)
    }

    fn peer_grant(&self, bytes: u64) {
        let mut inner = self.inner.lock();
        if bytes > inner.peer_grant {
            inner.peer_grant = bytes;
            inner.wakers.iter().for_each(|(_, w)| w.wake());
        }
    }

    fn sample(&self, _lane: LaneId, sample: PathSample) {
        self.inner.lock().samples.push(sample);
    }

    fn lane_down(&self, lane: LaneId, unfinished: Vec<Arc<OutUnit>>, why: Option<TransportError>) {
        let mut inner = self.inner.lock();
        let at = inner
            .wakers
            .iter()
            .position(|(l, _)| *l == lane)
            .expect("down follows up");
        inner.wakers.remove(at);
        inner.downs.push(why);
        unfinished
            .into_iter()
            .for_each(|u| inner.queue.push_front(u));
        inner.wakers.iter().for_each(|(_, w)| w.wake());
    }

    fn session_closed(&self, why: TransportError) {
        self.inner.lock().closed = Some(why);
    }
}
