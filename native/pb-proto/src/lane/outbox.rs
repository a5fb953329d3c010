//! Units on their way out: what of each was sent, lost, acknowledged.

use std::collections::VecDeque;

use super::config::{Feed, FeedNext};
use crate::units::Assembly;

/// A unit that was pulled from the feed.
#[derive(Debug)]
struct OutUnit {
    id: u32,
    len: u32,
    sealed: bool,
    /// Bytes sent at least once.
    sent: u32,
    acked: Assembly,
    /// Ranges to send again: (start, end).
    resend: Vec<(u32, u32)>,
    /// In `Outbox::resend`.
    queued: bool,
}

/// A run of unit bytes for one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The unit's sequence number on this lane.
    pub seq: u32,
    pub id: u32,
    pub offset: u32,
    pub len: u32,
    pub unit_len: u32,
    pub sealed: bool,
    pub again: bool,
}

/// All units of a lane that are not acknowledged. Sequence numbers wrap; far fewer units are alive than there are numbers.
#[derive(Debug, Default)]
pub struct Outbox {
    units: VecDeque<OutUnit>,
    /// Sequence number of `units[0]`.
    base: u32,
    /// Units with ranges to send again, oldest need first.
    resend: VecDeque<u32>,
    /// The newest unit has bytes that were never sent.
    open: bool,
}

impl Outbox {
    fn get(&mut self, seq: u32) -> Option<&mut OutUnit> {
        self.units.get_mut(seq.wrapping_sub(self.base) as usize)
    }

    /// Every pulled unit is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Ids of the units not acknowledged.
    pub fn unfinished(&self) -> Vec<u32> {
        self.units
            .iter()
            .filter(|u| !u.acked.is_complete())
            .map(|u| u.id)
            .collect()
    }

    /// Up to `max` bytes to send: lost ranges first, then the open unit, then a new one from the feed.
    pub fn next_piece(&mut self, max: u32, feed: Option<&mut dyn Feed>) -> Result<Piece, FeedNext> {
        if let Some(piece) = self.next_again(max) {
            return Ok(piece);
        }
        if !self.open {
            match feed.map_or(FeedNext::Idle, |feed| feed.next()) {
                FeedNext::Unit { id, len, sealed } => self.pull(id, len, sealed),
                other => return Err(other),
            }
        }
        self.next_new(max).ok_or(FeedNext::Idle)
    }

    fn pull(&mut self, id: u32, len: u32, sealed: bool) {
        let acked = Assembly::new(len);
        self.units.push_back(OutUnit {
            id,
            len,
            sealed,
            sent: 0,
            acked,
            resend: Vec::new(),
            queued: false,
        });
        self.open = len > 0;
    }

    fn next_new(&mut self, max: u32) -> Option<Piece> {
        let seq = self
            .base
            .wrapping_add(self.units.len() as u32)
            .wrapping_sub(1);
        let unit = self.units.back_mut()?;
        let len = (unit.len - unit.sent).min(max);
        let piece = unit.piece(seq, unit.sent, len, false);
        unit.sent += len;
        self.open = unit.sent < unit.len;
        Some(piece)
    }

    fn next_again(&mut self, max: u32) -> Option<Piece> {
        while let Some(&seq) = self.resend.front() {
            let unit = self.get(seq);
            if let Some((start, end)) = unit.and_then(|u| u.take_resend(max)) {
                let unit = self.get(seq)?;
                return Some(unit.piece(seq, start, end - start, true));
            }
            self.resend.pop_front();
            if let Some(unit) = self.get(seq) {
                unit.queued = false;
            }
        }
        None
    }

    /// Marks a range to be sent again.
    pub fn lost(&mut self, seq: u32, offset: u32, len: u32) {
        let Some(unit) = self.get(seq) else { return };
        if unit.acked.is_complete() {
            return;
        }
        match unit.resend.last_mut() {
            Some(last) if last.1 == offset => last.1 = offset + len,
            _ => unit.resend.push((offset, offset + len)),
        }
        if !unit.queued {
            unit.queued = true;
            self.resend.push_back(seq);
        }
    }

    /// Marks a range as held by the peer. Returns the unit's id when that was its last.
    pub fn acked(&mut self, seq: u32, offset: u32, len: u32) -> Option<u32> {
        let unit = self.get(seq)?;
        if unit.acked.is_complete() {
            return None;
        }
        unit.acked.insert(offset, len);
        if !unit.acked.is_complete() {
            return None;
        }
        unit.resend = Vec::new();
        let id = unit.id;
        while self.units.front().is_some_and(|u| u.acked.is_complete()) {
            self.units.pop_front();
            self.base = self.base.wrapping_add(1);
        }
        Some(id)
    }
}

impl OutUnit {
    fn piece(&self, seq: u32, offset: u32, len: u32, again: bool) -> Piece {
        Piece {
            seq,
            id: self.id,
            offset,
            len,
            unit_len: self.len,
            sealed: self.sealed,
            again,
        }
    }

    /// The next range of at most `max` bytes that was lost and has not been acknowledged since.
    fn take_resend(&mut self, max: u32) -> Option<(u32, u32)> {
        while let Some(range) = self.resend.first_mut() {
            let Some((start, end)) = self.acked.first_gap(range.0, range.1) else {
                self.resend.remove(0);
                continue;
            };
            let end = end.min(start.saturating_add(max));
            range.0 = end;
            if range.0 >= range.1 {
                self.resend.remove(0);
            }
            return Some((start, end));
        }
        None
    }
}
