//! What a lane has to say besides data: grants, path answers, the end.

use std::collections::VecDeque;

use crate::time::{Instant, MS, Nanos};

/// A grant that grew by less than a step is told after this time at the latest.
const GRANT_DELAY: Nanos = 5 * MS;
/// Steps of a grant's first value (the budget) that are worth a packet of their own.
const GRANT_STEPS: u64 = 8;
/// Path challenges of the peer that wait for an answer.
const MAX_RESPONSES: usize = 4;
/// A CLOSE leaves this many times: nobody acknowledges it.
const CLOSE_REPEATS: u8 = 3;
/// Between them.
const CLOSE_GAP: Nanos = 2 * MS;

/// Everything waiting for a CONTROL packet.
#[derive(Debug, Default)]
pub struct Control {
    pub ping: bool,
    pub grant: Grant,
    /// The peer's grant.
    peer_grant: u64,
    pub responses: VecDeque<[u8; 8]>,
    pub finishing: bool,
    pub done: LaneDone,
    closing: Option<Closing>,
    closed: bool,
    /// Both sides are done: stay so long to answer a peer that has not heard.
    pub linger_until: Option<Instant>,
}

/// LANE_DONE in both directions.
#[derive(Debug, Default)]
pub struct LaneDone {
    pub pending: bool,
    pub sent: bool,
    pub acked: bool,
    /// Number of the peer's first packet with it.
    pub received: Option<u64>,
}

#[derive(Debug)]
struct Closing {
    code: u64,
    reason: String,
    left: u8,
    next_at: Instant,
}

impl Control {
    /// Answers a challenge of the peer soon.
    pub fn respond(&mut self, data: [u8; 8]) {
        if self.responses.len() == MAX_RESPONSES {
            self.responses.pop_front();
        }
        self.responses.push_back(data);
    }

    /// Takes a grant of the peer and returns the newest.
    pub fn peer_grant(&mut self, bytes: u64) -> u64 {
        self.peer_grant = self.peer_grant.max(bytes);
        self.peer_grant
    }

    pub fn close(&mut self, now: Instant, code: u64, reason: &str) {
        if !self.closed && self.closing.is_none() {
            self.closing = Some(Closing {
                code,
                reason: reason.to_owned(),
                left: CLOSE_REPEATS,
                next_at: now,
            });
        }
    }

    /// Ends without a word.
    pub fn vanish(&mut self) {
        self.closed = true;
        self.closing = None;
    }

    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The CLOSE to send now.
    pub fn poll_close(&mut self, now: Instant) -> Option<(u64, String)> {
        let closing = self.closing.as_mut().filter(|c| c.next_at <= now)?;
        closing.left -= 1;
        closing.next_at = now.after(CLOSE_GAP);
        let frame = (closing.code, closing.reason.clone());
        if closing.left == 0 {
            self.vanish();
        }
        Some(frame)
    }

    pub fn next_close(&self) -> Option<Instant> {
        self.closing.as_ref().map(|c| c.next_at)
    }
}

/// The grant this side gives.
#[derive(Debug, Default)]
pub struct Grant {
    value: u64,
    told: u64,
    step: u64,
    /// A packet that told the newest value was lost.
    again: bool,
    due_at: Option<Instant>,
}

impl Grant {
    /// Raises the grant.
    pub fn set(&mut self, value: u64) {
        if self.value == 0 {
            self.step = value / GRANT_STEPS;
        }
        self.value = self.value.max(value);
    }

    pub fn value(&self) -> u64 {
        self.value
    }

    /// It has been told, up to the present value.
    pub fn told(&mut self) {
        (self.told, self.again, self.due_at) = (self.value, false, None);
    }

    /// A packet that told it was lost.
    pub fn lost(&mut self) {
        self.again = true;
    }

    /// There is something new to tell.
    pub fn is_news(&self) -> bool {
        self.again || self.value > self.told
    }

    /// Worth a packet of its own now; starts the clock for growth that is not.
    pub fn is_due(&mut self, now: Instant) -> bool {
        if !self.is_news() {
            return false;
        }
        let due_at = *self.due_at.get_or_insert(now.after(GRANT_DELAY));
        self.again || self.value - self.told >= self.step || due_at <= now
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.due_at
    }
}
