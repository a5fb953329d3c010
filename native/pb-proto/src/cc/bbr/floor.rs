//! Loss that the path has whatever one sends: what is lost while no queue stands, and while nothing is probed.

use super::super::AckInfo;
use super::coexist::{INSISTENT_THRESH, SATED_THRESH};
use super::{Bbr, LOSS_THRESH, State};

/// Packets over which the floor is averaged: a few rounds of a fast path, and a floor of 0.1 % is still seen.
const MEMORY_PACKETS: u64 = 4000;
/// Before so many packets it is not known.
const KNOWN_PACKETS: u64 = 100;
/// A path that loses more than this without a queue is policed, and what is lost is the sender's doing.
const MOST: f64 = 0.15;
/// Loss while probing is too much above this many times the floor and the draft's threshold together: losses come in
/// bursts.
const SPREAD: f64 = 1.5;

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
    pub(super) fn update_floor(&mut self, ack: &AckInfo) {
        let calm = matches!(self.state, State::Down | State::Cruise | State::Refill);
        if calm && !self.queue_seen && !self.model.is_settling() {
            self.floor.add(ack.acked, ack.lost, self.datagram);
            self.set_loss_thresh();
        }
    }

    /// Part of what is in flight whose loss is too much.
    pub(super) fn set_loss_thresh(&mut self) {
        self.model.loss_thresh = if !self.coexistence.insists() {
            LOSS_THRESH + SPREAD * self.floor.part(self.datagram)
        } else if self.is_above_half() {
            SATED_THRESH
        } else {
            INSISTENT_THRESH
        };
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
