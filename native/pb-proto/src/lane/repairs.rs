//! Second copies of what was sent again. A retransmission that is lost too keeps its whole unit waiting for another round trip, and with
//! the unit the receiver's memory: on a long path that loses much, credit runs out before the window does (docs/design/0013).

use std::collections::VecDeque;

use crate::time::{MS, Nanos};

/// Below this round trip a second retransmission comes soon enough.
pub const LONG_RTT: Nanos = 20 * MS;
/// Round trips for which copies go before new data, once credit has run out.
pub const EAGER_ROUNDS: u64 = 16;
/// Pieces between a retransmission and its copy, so that one burst of loss does not take both.
const APART: u64 = 32;
/// Remembered at most; 5 % of what 1 Gbit/s carries in a round trip of 1 s are 4,400.
const MAX: usize = 8192;

/// When copies are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    Never,
    /// While there is nothing else to send: they cost nobody anything.
    Idle,
    /// Before new data.
    Eager,
}

/// A range of a unit that was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    pub seq: u32,
    pub start: u32,
    pub end: u32,
    /// Pieces sent before it.
    at: u64,
}

/// What was sent again and not copied yet, oldest first.
#[derive(Debug, Default)]
pub struct Repairs {
    queue: VecDeque<Repair>,
    pieces: u64,
}

impl Repairs {
    /// Any piece left.
    pub fn piece(&mut self) {
        self.pieces += 1;
    }

    pub fn sent_again(&mut self, seq: u32, start: u32, end: u32) {
        if self.queue.len() == MAX {
            self.queue.pop_front();
        }
        self.queue.push_back(Repair {
            seq,
            start,
            end,
            at: self.pieces,
        });
    }

    /// The oldest one, when there is nothing else to send.
    pub fn next(&mut self) -> Option<Repair> {
        self.queue.pop_front()
    }

    /// The oldest one, when enough was sent since.
    pub fn next_apart(&mut self) -> Option<Repair> {
        let oldest = self.queue.front()?;
        if self.pieces - oldest.at < APART {
            return None;
        }
        self.queue.pop_front()
    }
}
