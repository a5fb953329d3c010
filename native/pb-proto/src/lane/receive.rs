//! The receiving half: which packets came, and when to say so.

use super::config::MAX_ACK_DELAY;
use super::replay::ReplayWindow;
use crate::range_set::RangeSet;
use crate::time::{Instant, Nanos, US};
use crate::wire::frame::{AckCounts, MAX_RANGES, put_ack};

/// Packets that came so far for each packet that an ACK waits for, up to [`PACKETS_PER_ACK`]: a sender that starts
/// needs the clock, and measures the path by it.
const DENSE_START: u64 = 128;
/// Full packets that share one ACK once the lane is under way, as far as the delay allows: with 100 bytes of ACK about
/// 0.3 % of what it acknowledges. As many as TCP acknowledges at once behind a NIC that coalesces.
const PACKETS_PER_ACK: u64 = 24;
/// Batches with something to acknowledge that share one ACK.
const BATCHES_PER_ACK: u32 = 2;
/// ACKs that a round trip has at least, within the bounds of delay: with 8 the sender's window opened in steps as large as
/// a queue of a tenth of the path holds (docs/design/0006-start-up.md).
const ACKS_PER_RTT: u64 = 20;
const MIN_ACK_DELAY: Nanos = 250 * US;

/// What came in on a lane.
#[derive(Debug)]
pub struct Receiver {
    pub replay: ReplayWindow,
    ranges: RangeSet,
    /// When the largest number came.
    largest_at: Instant,
    batches: u32,
    /// Packets since the last ACK.
    unacknowledged: u64,
    eliciting_in_batch: bool,
    /// Something came that must be acknowledged and has not been.
    owed: bool,
    at_once: bool,
    deadline: Option<Instant>,
    /// Datagram bytes of all packets.
    pub bytes: u64,
    /// Datagram bytes of DATA packets.
    pub data_bytes: u64,
    pub packets: u64,
    pub reordered: u64,
    pub ecn_ce: u64,
    pub socket_drops: u64,
}

impl Receiver {
    pub fn new() -> Receiver {
        Receiver {
            replay: ReplayWindow::new(),
            ranges: RangeSet::new(),
            largest_at: Instant(0),
            batches: 0,
            unacknowledged: 0,
            eliciting_in_batch: false,
            owed: false,
            at_once: false,
            deadline: None,
            bytes: 0,
            data_bytes: 0,
            packets: 0,
            reordered: 0,
            ecn_ce: 0,
            socket_drops: 0,
        }
    }

    /// Takes note of an authentic, new packet.
    pub fn on_packet(&mut self, now: Instant, number: u64, datagram: usize, ecn_ce: bool) {
        let expected = self.replay.largest().map_or(0, |n| n + 1);
        self.replay.insert(number);
        self.ranges.insert(number);
        if self.ranges.len() > MAX_RANGES {
            self.ranges.keep_newest(MAX_RANGES);
        }
        if number >= expected {
            self.largest_at = now;
        } else {
            self.reordered += 1;
        }
        self.at_once |= number != expected || ecn_ce;
        self.ecn_ce += u64::from(ecn_ce);
        self.bytes += datagram as u64;
        self.packets += 1;
        self.unacknowledged += 1;
    }

    /// The packet just taken must be acknowledged.
    pub fn on_eliciting(&mut self, now: Instant, min_rtt: Option<Nanos>) {
        self.owed = true;
        self.eliciting_in_batch = true;
        let delay = (min_rtt.unwrap_or(0) / ACKS_PER_RTT).clamp(MIN_ACK_DELAY, MAX_ACK_DELAY);
        self.deadline.get_or_insert(now.after(delay));
    }

    /// An ACK should go with the next packets, whatever the count of batches.
    pub fn ack_at_once(&mut self) {
        self.at_once = true;
    }

    /// A receive batch is over.
    pub fn on_batch_end(&mut self) {
        if std::mem::take(&mut self.eliciting_in_batch) {
            self.batches += 1;
            let (batches, packets) = self.share();
            self.at_once |= self.batches >= batches && self.unacknowledged >= packets;
        }
    }

    /// Batches and packets that one ACK is for.
    fn share(&self) -> (u32, u64) {
        match self.packets / DENSE_START {
            0 => (1, 1),
            dense => (BATCHES_PER_ACK, dense.min(PACKETS_PER_ACK)),
        }
    }

    /// An ACK must leave now.
    pub fn is_ack_due(&self, now: Instant) -> bool {
        self.owed && (self.at_once || self.deadline.is_some_and(|at| at <= now))
    }

    /// Something is owed, so an ACK may ride along with other frames.
    pub fn is_ack_owed(&self) -> bool {
        self.owed
    }

    /// When [`Receiver::is_ack_due`] becomes true by time alone.
    pub fn ack_deadline(&self) -> Option<Instant> {
        if !self.owed {
            return None;
        }
        if self.at_once {
            Some(Instant(0))
        } else {
            self.deadline
        }
    }

    /// More is remembered than an ACK of ordinary size tells: the peer should confirm an ACK soon.
    pub fn is_crowded(&self) -> bool {
        self.ranges.len() > MAX_RANGES / 2
    }

    /// Writes an ACK frame and returns the largest number in it.
    pub fn put_ack(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<u64> {
        let largest = self.ranges.max()?;
        let counts = AckCounts {
            delay_us: now.since(self.largest_at) / US,
            received_bytes: self.data_bytes,
            socket_drops: self.socket_drops,
            ecn_ce: self.ecn_ce,
        };
        put_ack(out, counts, self.ranges.newest_first());
        (self.owed, self.at_once, self.deadline) = (false, false, None);
        (self.batches, self.unacknowledged) = (0, 0);
        Some(largest)
    }

    /// The peer has our ACK of everything up to `largest`: those numbers need not be told again.
    pub fn on_ack_acked(&mut self, largest: u64) {
        self.ranges.remove_below(largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MS;

    /// A receiver that is past its dense start.
    fn settled() -> Receiver {
        let mut rx = Receiver::new();
        (0..DENSE_START).for_each(|n| batch(&mut rx, n));
        assert!(rx.put_ack(Instant(0), &mut Vec::new()).is_some());
        rx
    }

    fn batch(rx: &mut Receiver, number: u64) {
        rx.on_packet(Instant(0), number, 100, false);
        rx.on_eliciting(Instant(0), Some(16 * MS));
        rx.on_batch_end();
    }

    #[test]
    fn every_batch_at_first_then_every_second() {
        let mut rx = Receiver::new();
        batch(&mut rx, 0);
        assert!(rx.is_ack_due(Instant(0)));
        let mut rx = settled();
        batch(&mut rx, DENSE_START);
        assert!(!rx.is_ack_due(Instant(0)));
        batch(&mut rx, DENSE_START + 1);
        assert!(rx.is_ack_due(Instant(0)));
    }

    #[test]
    fn a_twentieth_of_a_round_trip_is_the_longest_wait() {
        let mut rx = settled();
        batch(&mut rx, DENSE_START);
        assert_eq!(rx.ack_deadline(), Some(Instant(16 * MS / ACKS_PER_RTT)));
        assert!(rx.is_ack_due(Instant(16 * MS / ACKS_PER_RTT)));
    }

    #[test]
    fn gaps_late_packets_and_marks_are_told_at_once() {
        for (number, ce) in [(DENSE_START + 1, false), (DENSE_START, true)] {
            let mut rx = settled();
            rx.on_packet(Instant(0), number, 100, ce);
            rx.on_eliciting(Instant(0), None);
            assert!(rx.is_ack_due(Instant(0)), "{number} {ce}");
        }
        let mut rx = settled();
        batch(&mut rx, DENSE_START + 1);
        rx.put_ack(Instant(0), &mut Vec::new());
        batch(&mut rx, DENSE_START);
        assert!(rx.is_ack_due(Instant(0)));
        assert_eq!(rx.reordered, 1);
    }

    #[test]
    fn ranges_are_bounded_and_forgotten_when_the_peer_knows() {
        let mut rx = Receiver::new();
        (0..1000).for_each(|n| batch(&mut rx, 2 * n));
        assert_eq!(rx.ranges.len(), MAX_RANGES);
        assert!(rx.is_crowded());
        let largest = rx.put_ack(Instant(0), &mut Vec::new()).unwrap();
        rx.on_ack_acked(largest);
        assert_eq!(rx.ranges.len(), 1);
    }
}
