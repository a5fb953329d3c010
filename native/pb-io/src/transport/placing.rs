//! Where the bytes of arriving units go. Shared by both transports.
//!
//! A packet that is not yet authenticated must not change any state, so `LaneHost::place` (which charges the
//! unit's length) is called for authenticated packets only. A lane remembers the units it placed last: their
//! further packets are opened straight into the unit's buffer; the first packet of a unit takes one copy.

use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use pb_proto::units::Assembly;

use crate::copies::{LaneCopies, Step};

use super::{InState, InUnit, LaneHost, Place, TransportError};

/// Units a lane remembers. Senders work on one to three units a lane at a time; losses add some.
const REMEMBERED: usize = 8;

/// A range of a unit, as a header names it, after `Header::check_data` found it lawful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub unit: u32,
    pub unit_len: u32,
    pub offset: u32,
    pub len: u32,
}

/// What became of an authenticated packet's bytes.
pub(crate) enum Landed {
    /// In place, or there before.
    Partial,
    /// The last missing byte of the unit came with it.
    Complete(Arc<InUnit>),
}

/// The units that a lane placed last.
#[derive(Default)]
pub(crate) struct Placer {
    known: Vec<Arc<InUnit>>,
    scratch: Vec<u8>,
    pub(crate) copies: LaneCopies,
}

impl Placer {
    /// The unit of a range, when this lane has placed it before and it is still arriving.
    pub(crate) fn known(&mut self, range: &Range) -> Option<Arc<InUnit>> {
        let at = self.known.iter().rposition(|u| u.id == range.unit)?;
        (self.known[at].len == range.unit_len).then(|| self.known[at].clone())
    }

    /// Opens a packet: into its place when the unit is known and the range is free, else aside first. `open` gets
    /// the place to open to and must check the tag.
    pub(crate) fn open<F>(
        &mut self,
        host: &dyn LaneHost,
        range: &Range,
        open: F,
    ) -> Result<Landed, Refused>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Unspecified>,
    {
        let at = self
            .known
            .iter()
            .rposition(|u| u.id == range.unit && u.len == range.unit_len);
        if let Some(at) = at {
            let unit = &self.known[at];
            let mut state = unit.state.lock();
            let InState { assembly, buffer } = &mut *state;
            let free = assembly.is_free(range.offset, range.len);
            if let Some(place) = buffer
                .as_mut()
                .filter(|_| free)
                .and_then(|b| slice(b.as_mut_slice(), range))
            {
                open(place).map_err(|_| Refused::Tag)?;
                self.copies.add(Step::Open, range.len as usize);
                assembly.insert(range.offset, range.len);
                let complete = assembly.is_complete();
                drop(state);
                return Ok(if complete {
                    Landed::Complete(self.known.remove(at))
                } else {
                    Landed::Partial
                });
            }
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.len() < range.len as usize {
            scratch.resize(range.len as usize, 0);
        }
        let bytes = &mut scratch[..range.len as usize];
        let landed = open(bytes).map_err(|_| Refused::Tag).and_then(|()| {
            self.copies.add(Step::Open, bytes.len());
            self.copy(host, range, bytes)
        });
        self.scratch = scratch;
        landed
    }

    /// Puts authenticated bytes into their place, except where bytes are there already.
    pub(crate) fn copy(
        &mut self,
        host: &dyn LaneHost,
        range: &Range,
        bytes: &[u8],
    ) -> Result<Landed, Refused> {
        let Some(unit) = self.find(host, range)? else {
            return Ok(Landed::Partial);
        };
        let mut state = unit.state.lock();
        let InState { assembly, buffer } = &mut *state;
        let Some(buffer) = buffer.as_mut().filter(|_| !assembly.is_complete()) else {
            return Ok(Landed::Partial);
        };
        self.copies.add(Step::Place, bytes.len());
        fill(assembly, range.offset, buffer.as_mut_slice(), bytes);
        assembly.insert(range.offset, range.len);
        let complete = assembly.is_complete();
        drop(state);
        Ok(if complete {
            Landed::Complete(self.forget(&unit))
        } else {
            Landed::Partial
        })
    }

    /// Asks the host for the unit of an authenticated packet and remembers it; `None` when it is complete.
    fn find(&mut self, host: &dyn LaneHost, range: &Range) -> Result<Option<Arc<InUnit>>, Refused> {
        if let Some(unit) = self.known(range) {
            return Ok(Some(unit));
        }
        match host
            .place(range.unit, range.unit_len)
            .map_err(Refused::Violation)?
        {
            Place::AlreadyComplete => Ok(None),
            Place::Into(unit) => {
                if self.known.len() == REMEMBERED {
                    self.known.remove(0);
                }
                self.known.push(unit.clone());
                Ok(Some(unit))
            }
        }
    }

    pub(crate) fn forget(&mut self, unit: &Arc<InUnit>) -> Arc<InUnit> {
        self.known.retain(|u| !Arc::ptr_eq(u, unit));
        unit.clone()
    }
}

/// Why a packet was not taken.
pub(crate) enum Refused {
    /// It does not authenticate: as if it had never come.
    Tag,
    /// It does, and breaks a rule: the session ends.
    Violation(TransportError),
}

fn slice<'a>(buffer: &'a mut [u8], range: &Range) -> Option<&'a mut [u8]> {
    buffer.get_mut(range.offset as usize..(range.offset + range.len) as usize)
}

/// Copies `bytes` to `offset` of a unit's buffer, except where bytes are there: halves the range until each part is
/// either free or there.
pub(crate) fn fill(assembly: &Assembly, offset: u32, buffer: &mut [u8], bytes: &[u8]) {
    let len = bytes.len() as u32;
    if len == 0 || assembly.has(offset, len) {
        return;
    }
    if assembly.is_free(offset, len) {
        if let Some(place) = buffer.get_mut(offset as usize..(offset + len) as usize) {
            place.copy_from_slice(bytes);
        }
        return;
    }
    if len == 1 {
        return;
    }
    let (left, right) = bytes.split_at(bytes.len() / 2);
    fill(assembly, offset, buffer, left);
    fill(assembly, offset + left.len() as u32, buffer, right);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_never_overwrites_what_is_there() {
        let mut assembly = Assembly::new(100);
        assembly.insert(10, 7);
        assembly.insert(40, 1);
        let mut buffer = vec![0; 100];
        fill(&assembly, 5, &mut buffer, &[9; 60]);
        for (i, b) in buffer.iter().enumerate() {
            let there = (10..17).contains(&i) || i == 40;
            assert_eq!(*b == 9, (5..65).contains(&i) && !there, "byte {i}");
        }
    }

    #[test]
    fn fill_ends_at_a_range_outside() {
        let mut buffer = vec![0; 10];
        fill(&Assembly::new(10), 5, &mut buffer, &[9; 10]);
        assert_eq!(buffer, [0, 0, 0, 0, 0, 9, 9, 9, 9, 9]);
    }
}
