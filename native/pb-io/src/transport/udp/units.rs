//! The units that a lane has pulled and the peer has not acknowledged.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use pb_proto::lane::{Feed, FeedNext};
use pb_proto::time::Nanos;

use crate::transport::{LaneHost, LaneId, Next, OutBody, OutUnit};

/// Pulled units by id, with the one asked for last at hand.
#[derive(Default)]
pub(super) struct Units {
    by_id: HashMap<u32, Arc<OutUnit>>,
    last: Option<Arc<OutUnit>>,
    /// The session had nothing to send when it was asked last.
    pub idle: bool,
}

impl Units {
    #[cfg(test)]
    pub(super) fn of(unit: OutUnit) -> Units {
        let mut units = Units::default();
        units.by_id.insert(unit.id, Arc::new(unit));
        units
    }

    /// The unit of an id.
    pub(super) fn get(&mut self, id: u32) -> Option<&Arc<OutUnit>> {
        if self.last.as_ref().is_none_or(|u| u.id != id) {
            self.last = self.by_id.get(&id).cloned();
        }
        self.last.as_ref()
    }

    /// Lets go of a unit that the peer has.
    pub(super) fn remove(&mut self, id: u32) -> Option<Arc<OutUnit>> {
        self.last = None;
        self.by_id.remove(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Everything that is left, in the order of ids.
    pub(super) fn drain(&mut self) -> Vec<Arc<OutUnit>> {
        self.last = None;
        let mut left: Vec<_> = self.by_id.drain().map(|(_, unit)| unit).collect();
        left.sort_by_key(|u| u.id);
        left
    }
}

/// Bridges the lane's state machine to the session.
pub(super) struct HostFeed<'a> {
    pub host: &'a dyn LaneHost,
    pub lane: LaneId,
    pub seal: bool,
    /// The lane may take units: it is up and not closing.
    pub open: bool,
    pub min_rtt: Option<Nanos>,
    pub units: &'a mut Units,
}

impl Feed for HostFeed<'_> {
    fn next(&mut self) -> FeedNext {
        if !self.open {
            return FeedNext::Idle;
        }
        let next = match self.host.rests(self.lane, self.min_rtt) {
            true => Next::Idle,
            false => self.host.next_unit(self.lane),
        };
        self.units.idle = matches!(next, Next::Idle);
        match next {
            Next::Unit(unit) => {
                let (id, len, sealed) = (unit.id, unit.len, self.seal || unit.always_sealed);
                self.units.by_id.insert(id, unit);
                FeedNext::Unit { id, len, sealed }
            }
            Next::Idle => FeedNext::Idle,
            Next::NoCredit => FeedNext::NoCredit,
            Next::Limited { retry_ns } => FeedNext::Limited { retry: retry_ns },
        }
    }
}

/// The bytes of a unit that are in memory at `offset`; `None` when they are not (all) there.
pub(super) fn in_memory(unit: &OutUnit, offset: usize, len: usize) -> Option<&[u8]> {
    match &unit.body {
        OutBody::Memory(buffer) => buffer.as_slice().get(offset..offset + len),
        OutBody::File {
            length, trailer, ..
        } => {
            let from = offset.checked_sub(*length as usize)?;
            trailer.get(from..from + len)
        }
    }
}

/// Copies bytes of a unit with a file body. What the file no longer has becomes zeros: the chunk's verification fails
/// at the receiver, which asks for it again.
pub(super) fn from_file(unit: &OutUnit, at: usize, out: &mut [u8]) {
    let OutBody::File {
        file,
        offset,
        length,
        trailer,
    } = &unit.body
    else {
        return;
    };
    let of_file = (*length as usize).saturating_sub(at).min(out.len());
    let (head, tail) = out.split_at_mut(of_file);
    if file.read_exact_at(head, offset + at as u64).is_err() {
        head.fill(0);
    }
    let from = (at + of_file).saturating_sub(*length as usize);
    match trailer.get(from..from + tail.len()) {
        Some(bytes) => tail.copy_from_slice(bytes),
        None => tail.fill(0),
    }
}
