//! Loss that the path has whatever one sends: what is lost while no queue stands, and while nothing is probed.

use super::super::AckInfo;
use super::{Bbr, LOSS_THRESH, State};
use crate::time::{MS, Nanos};

/// Packets over which the floor is averaged: a few rounds of a fast path, and a floor of 0.1 % is still seen.
const MEMORY_PACKETS: u64 = 4000;
/// Before so many packets it is not known.
const KNOWN_PACKETS: u64 = 100;
/// A path that loses more than this without a queue is policed, and what is lost is the sender's doing.
const MOST: f64 = 0.15;
/// Loss while probing is too much above this many times the floor and the draft's threshold together: losses come in
/// bursts.
const SPREAD: f64 = 1.5;
/// A queue stands when the round trip is longer than the shortest by this part of it, and by this much.
const QUEUE_PART: Nanos = 8;
const QUEUE_FLOOR: Nanos = 2 * MS;

/// Fading sums of bytes.
#[derive(Debug, Default)]
pub struct Floor {
    acked: u64,
    lost: u64,
}

impl Floor {
    fn add(&mut self, acked: u64, lost: u64, datagram: u64) {
        self.acked += acked;
        self.lost += lost;
        if self.acked + self.lost > 2 * MEMORY_PACKETS * datagram {
            (self.acked, self.lost) = (self.acked / 2, self.lost / 2);
        }
    }

    /// Part of what is sent that is lost anyway.
    fn part(&self, datagram: u64) -> f64 {
        let all = self.acked + self.lost;
        if all < KNOWN_PACKETS * datagram {
            return 0.0;
        }
        (self.lost as f64 / all as f64).min(MOST)
    }
}

impl Bbr {
    /// Somebody's packets wait at the bottleneck.
    pub(super) fn is_queue_seen(&self, rtt: Nanos) -> bool {
        let base = self.min_rtt.get().unwrap_or(rtt);
        rtt > base + (base / QUEUE_PART).max(QUEUE_FLOOR)
    }

    pub(super) fn update_floor(&mut self, ack: &AckInfo) {
        if let Some(rtt) = ack.rtt {
            self.queue_seen = self.is_queue_seen(rtt);
        }
        let calm = matches!(self.state, State::Down | State::Cruise | State::Refill);
        if calm && !self.queue_seen && !self.model.is_settling() {
            self.floor.add(ack.acked, ack.lost, self.datagram);
            self.model.loss_thresh = LOSS_THRESH + SPREAD * self.floor.part(self.datagram);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_what_calm_rounds_lose() {
        let mut floor = Floor::default();
        floor.add(50_000, 50_000, 1000);
        assert_eq!(floor.part(1000), MOST, "never more than a policer takes");
        (0..100).for_each(|_| floor.add(990_000, 10_000, 1000));
        assert!((floor.part(1000) - 0.01).abs() < 1e-4, "{floor:?}");
    }

    #[test]
    fn a_few_packets_teach_nothing() {
        let mut floor = Floor::default();
        floor.add(50_000, 40_000, 1000);
        assert_eq!(floor.part(1000), 0.0);
    }
}
