//! What stands for a session at one end: units to send under the peer's credit, units to receive within a budget.

use std::collections::{HashMap, VecDeque};

use super::{Failure, START};
use crate::lane::{Feed, FeedNext};
use crate::time::{Instant, Nanos, SECOND};
use crate::units::Assembly;

/// How one end sends and receives.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Lengths of the units to send, in order.
    pub units: Vec<u32>,
    /// Bytes of units that may be held while they arrive and are written.
    pub budget: u64,
    /// Bytes per second that the disk writes.
    pub disk: u64,
    /// What holds back the units to send.
    pub source: Source,
}

/// How fast units come to be sent; rates in bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// All are there at once.
    Ready,
    /// All are there so many nanoseconds after the start.
    After(Nanos),
    /// They are read so fast.
    Reads(u64),
    /// They are there, and may leave so fast: a limit that the user gave.
    MayLeave(u64),
}

/// One end's session.
#[derive(Debug)]
pub struct Session {
    load: Load,
    waiting: VecDeque<u32>,
    started: u64,
    peer_grant: u64,
    acked: Vec<bool>,
    pub acked_count: usize,
    arriving: HashMap<u32, Assembly>,
    arrived: Vec<bool>,
    pub arrived_count: usize,
    /// Bytes charged and not yet written.
    held: u64,
    written: u64,
    charged: u64,
    disk_busy: Instant,
    writing: VecDeque<(Instant, u32)>,
    now: Instant,
    /// When the source gives its next unit, once it was asked too early.
    next_at: Option<Instant>,
    expected: Vec<u32>,
}

impl Session {
    pub fn new(load: Load, expected: Vec<u32>) -> Session {
        Session {
            waiting: (0..load.units.len() as u32).collect(),
            acked: vec![false; load.units.len()],
            arrived: vec![false; expected.len()],
            load,
            expected,
            started: 0,
            peer_grant: 0,
            acked_count: 0,
            arriving: HashMap::new(),
            arrived_count: 0,
            held: 0,
            written: 0,
            charged: 0,
            disk_busy: Instant(0),
            writing: VecDeque::new(),
            now: START,
            next_at: None,
        }
    }

    pub fn is_done(&self) -> bool {
        self.acked_count == self.acked.len() && self.arrived_count == self.expected.len()
    }

    /// The cumulative grant to the peer.
    pub fn grant(&self) -> u64 {
        self.load.budget + self.written
    }

    /// True when the grant grew.
    pub fn on_peer_grant(&mut self, grant: u64) -> bool {
        let grew = grant > self.peer_grant;
        self.peer_grant = self.peer_grant.max(grant);
        grew
    }

    pub fn on_unit_acked(&mut self, id: u32) -> Result<(), Failure> {
        match self.acked.get_mut(id as usize) {
            Some(acked) if !*acked => *acked = true,
            _ => return Err(Failure(format!("unit {id} acknowledged twice or unknown"))),
        }
        self.acked_count += 1;
        Ok(())
    }

    /// Bytes of a unit arrive, as a driver would place them.
    pub fn on_data(
        &mut self,
        now: Instant,
        unit: u32,
        offset: u32,
        len: u32,
        unit_len: u32,
    ) -> Result<(), Failure> {
        if self.expected.get(unit as usize) != Some(&unit_len) {
            return Err(Failure(format!(
                "unit {unit} of {unit_len} bytes was never sent"
            )));
        }
        if self.arrived[unit as usize] {
            return Ok(());
        }
        if !self.arriving.contains_key(&unit) {
            self.charge(unit_len)?;
        }
        let assembly = self
            .arriving
            .entry(unit)
            .or_insert_with(|| Assembly::new(unit_len));
        if assembly.has(offset, len) {
            return Ok(());
        }
        assembly.insert(offset, len);
        if assembly.is_complete() {
            self.complete(now, unit, unit_len);
        }
        Ok(())
    }

    fn charge(&mut self, len: u32) -> Result<(), Failure> {
        self.charged += u64::from(len);
        self.held += u64::from(len);
        if self.charged > self.grant() || self.held > self.load.budget {
            return Err(Failure(format!(
                "{} bytes held of {}",
                self.held, self.load.budget
            )));
        }
        Ok(())
    }

    fn complete(&mut self, now: Instant, unit: u32, len: u32) {
        self.arriving.remove(&unit);
        self.arrived[unit as usize] = true;
        self.arrived_count += 1;
        let span: Nanos = u64::from(len) * SECOND / self.load.disk.max(1);
        self.disk_busy = self.disk_busy.max(now).after(span);
        self.writing.push_back((self.disk_busy, len));
    }

    /// When the next unit is written.
    pub fn next_write(&self) -> Option<Instant> {
        self.writing.front().map(|w| w.0)
    }

    /// When the next unit has been read.
    pub fn next_read(&self) -> Option<Instant> {
        self.next_at
            .filter(|_| matches!(self.load.source, Source::Reads(_) | Source::After(_)))
    }

    /// Nanoseconds until the source gives its next unit; 0: now.
    fn due_in(&mut self) -> Nanos {
        let at = match self.load.source {
            Source::Ready => return 0,
            Source::After(span) => START.after(span),
            Source::Reads(rate) | Source::MayLeave(rate) => {
                START.after(self.started * SECOND / rate.max(1))
            }
        };
        let wait = at.since(self.now);
        self.next_at = (wait > 0).then_some(at);
        wait
    }

    /// Frees what was written. True when the grant grew, or a unit was read.
    pub fn on_time(&mut self, now: Instant) -> bool {
        self.now = now;
        let read = self.next_read().is_some_and(|at| at <= now);
        if read {
            self.next_at = None;
        }
        let before = self.written;
        while let Some(&(_, len)) = self.writing.front().filter(|w| w.0 <= now) {
            self.writing.pop_front();
            self.written += u64::from(len);
            self.held -= u64::from(len);
        }
        self.written > before || read
    }
}

impl Feed for Session {
    fn next(&mut self) -> FeedNext {
        let Some(&id) = self.waiting.front() else {
            return FeedNext::Idle;
        };
        let len = self.load.units[id as usize];
        if self.started + u64::from(len) > self.peer_grant {
            return FeedNext::NoCredit;
        }
        match (self.due_in(), self.load.source) {
            (0, _) => {}
            (retry, Source::MayLeave(_)) => return FeedNext::Limited { retry },
            _ => return FeedNext::Idle,
        }
        self.started += u64::from(len);
        self.waiting.pop_front();
        FeedNext::Unit {
            id,
            len,
            sealed: true,
        }
    }
}
