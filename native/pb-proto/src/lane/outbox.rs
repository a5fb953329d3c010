//! Units on their way out: what of each was sent, lost, acknowledged.

use std::collections::VecDeque;

use super::config::{Feed, FeedNext};
use super::repairs::{Copies, Repair, Repairs};
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
    repairs: Repairs,
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

    /// Up to `max` bytes to send: lost ranges first, then the open unit, then a new one from the feed; second copies of
    /// lost ranges where `copies` says.
    pub fn next_piece(
        &mut self,
        max: u32,
        copies: Copies,
        feed: Option<&mut dyn Feed>,
    ) -> Result<Piece, FeedNext> {
        let piece = match self.next_wanted(max, copies, feed) {
            Err(why) if copies != Copies::Never => self.next_copy(max, Repairs::next).ok_or(why),
            wanted => wanted,
        }?;
        self.repairs.piece();
        Ok(piece)
    }

    fn next_wanted(
        &mut self,
        max: u32,
        copies: Copies,
        feed: Option<&mut dyn Feed>,
    ) -> Result<Piece, FeedNext> {
        if let Some(piece) = self.next_again(max) {
            return Ok(piece);
        }
        if copies == Copies::Eager
            && let Some(piece) = self.next_copy(max, Repairs::next_apart)
        {
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
                self.repairs.sent_again(seq, start, end);
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

    /// A second copy of what was sent again and is not acknowledged yet.
    fn next_copy(&mut self, max: u32, next: fn(&mut Repairs) -> Option<Repair>) -> Option<Piece> {
        while let Some(Repair {
            seq, start, end, ..
        }) = next(&mut self.repairs)
        {
            let Some(unit) = self.get(seq) else { continue };
            if let Some((start, end)) = unit.acked.first_gap(start, end) {
                return Some(unit.piece(seq, start, (end - start).min(max), true));
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

#[cfg(test)]
mod tests {
    use super::*;

    struct One(u32);

    impl Feed for One {
        fn next(&mut self) -> FeedNext {
            self.0 += 1;
            if self.0 > 2 {
                FeedNext::NoCredit
            } else {
                FeedNext::Unit {
                    id: 100 + self.0,
                    len: 300,
                    sealed: true,
                }
            }
        }
    }

    fn pieces(outbox: &mut Outbox, feed: &mut One, count: usize) -> Vec<(u32, u32, u32, bool)> {
        let next = |_| {
            outbox
                .next_piece(128, Copies::Never, Some(feed))
                .map(|p| (p.id, p.offset, p.len, p.again))
        };
        (0..count).map(next).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn losses_go_first_and_less_what_came_after_all() {
        let (mut outbox, mut feed) = (Outbox::default(), One(0));
        let first = pieces(&mut outbox, &mut feed, 2);
        assert_eq!(first, [(101, 0, 128, false), (101, 128, 128, false)]);
        outbox.lost(0, 0, 128);
        outbox.lost(0, 128, 128);
        assert_eq!(outbox.acked(0, 64, 128), None);
        let rest = pieces(&mut outbox, &mut feed, 4);
        let again = [(101, 0, 64, true), (101, 192, 64, true)];
        assert_eq!(
            rest,
            [
                again[0],
                again[1],
                (101, 256, 44, false),
                (102, 0, 128, false)
            ]
        );
    }

    #[test]
    fn a_unit_is_done_once() {
        let (mut outbox, mut feed) = (Outbox::default(), One(0));
        pieces(&mut outbox, &mut feed, 6);
        assert_eq!(
            outbox.next_piece(128, Copies::Never, Some(&mut feed)),
            Err(FeedNext::NoCredit)
        );
        assert_eq!(outbox.acked(1, 0, 300), Some(102), "in any order");
        assert_eq!(outbox.unfinished(), [101]);
        assert_eq!(outbox.acked(1, 0, 300), None);
        outbox.lost(1, 0, 300);
        assert_eq!(
            outbox.next_piece(128, Copies::Never, None),
            Err(FeedNext::Idle)
        );
        assert_eq!(outbox.acked(0, 0, 200), None);
        assert_eq!(outbox.acked(0, 200, 100), Some(101));
        assert!(outbox.is_empty());
        outbox.lost(0, 0, 300);
        assert_eq!(
            outbox.next_piece(128, Copies::Never, None),
            Err(FeedNext::Idle)
        );
    }

    /// The first piece of a unit of 300 bytes was lost, then sent again.
    fn repaired() -> (Outbox, One) {
        let (mut outbox, mut feed) = (Outbox::default(), One(0));
        pieces(&mut outbox, &mut feed, 6);
        outbox.lost(0, 0, 128);
        assert_eq!(pieces(&mut outbox, &mut feed, 1), [(101, 0, 128, true)]);
        (outbox, feed)
    }

    #[test]
    fn what_was_sent_again_goes_once_more_while_there_is_nothing_else() {
        let (mut outbox, mut feed) = repaired();
        let copy = outbox.next_piece(128, Copies::Idle, Some(&mut feed));
        assert_eq!(
            copy.map(|p| (p.id, p.offset, p.len, p.again)),
            Ok((101, 0, 128, true))
        );
        let more = outbox.next_piece(128, Copies::Idle, Some(&mut feed));
        assert_eq!(more, Err(FeedNext::NoCredit), "one copy");
    }

    #[test]
    fn no_copy_goes_of_what_has_arrived() {
        let (mut outbox, mut feed) = repaired();
        outbox.acked(0, 0, 128);
        let next = outbox.next_piece(128, Copies::Idle, Some(&mut feed));
        assert_eq!(next, Err(FeedNext::NoCredit));
    }

    #[test]
    fn an_eager_copy_goes_before_new_data_and_not_in_the_burst_of_the_first() {
        let (mut outbox, mut feed) = (Outbox::default(), One(0));
        pieces(&mut outbox, &mut feed, 1);
        outbox.lost(0, 0, 4);
        let mut next = || {
            outbox
                .next_piece(4, Copies::Eager, Some(&mut feed))
                .map(|p| p.again)
        };
        assert_eq!(next(), Ok(true), "the retransmission");
        let until = (0..100).position(|_| next() == Ok(true));
        assert_eq!(until, Some(31), "the 32nd piece after");
        let rest: Vec<_> = (0..60).map(|_| next()).collect();
        assert!(!rest.contains(&Ok(true)), "one copy: {rest:?}");
    }
}
