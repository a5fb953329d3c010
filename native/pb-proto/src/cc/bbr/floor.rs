//! Loss that the path has whatever one sends: what is lost while no queue stands, and while nothing is probed.

use super::super::AckInfo;
use super::coexist::{INSISTENT_THRESH, SATED_THRESH};
use super::{Bbr, LOSS_THRESH, State};

/// Packets over which the floor is averaged: a few rounds of a fast path, and a floor of 0.1 % is still seen.
const MEMORY_PACKETS: u64 = 4000;
/// Before so many packets it is not known.
const KNOWN_PACKETS: u64 = 100;
/// A path that loses more than this without a queue is policed, and what is lost is the sender's doing, unless as much is lost at a
/// fraction of the rate.
const MOST: f64 = 0.15;
/// Loss that does not fall with the rate is the path's own up to this. Two packets for each that comes through are too many to try.
const MOST_OWN: f64 = 0.4;
/// Rates in the same octave of bytes per second are as good as equal; so many octaves apart, at least a quarter remains, at which a
/// policer that took up to three quarters takes nothing.
const OCTAVES: usize = 40;
const APART: usize = 3;
/// Part of the loss at the higher rate that is "as much".
const AS_MUCH: f64 = 0.8;
/// Loss while probing is too much above this many times the floor and the draft's threshold together: losses come in
/// bursts.
const SPREAD: f64 = 1.5;

/// Fading sums of bytes.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    acked: u64,
    lost: u64,
}

impl Sums {
    fn add(&mut self, acked: u64, lost: u64, datagram: u64) {
        self.acked += acked;
        self.lost += lost;
        if self.acked + self.lost > 2 * MEMORY_PACKETS * datagram {
            (self.acked, self.lost) = (self.acked / 2, self.lost / 2);
        }
    }

    /// Part that was lost, once enough is known.
    fn part(&self, datagram: u64) -> Option<f64> {
        let all = self.acked + self.lost;
        (all >= KNOWN_PACKETS * datagram).then(|| self.lost as f64 / all as f64)
    }
}

fn total(sums: &[Sums]) -> Sums {
    Sums {
        acked: sums.iter().map(|s| s.acked).sum(),
        lost: sums.iter().map(|s| s.lost).sum(),
    }
}

/// What calm rounds lose.
#[derive(Debug)]
pub struct Floor {
    all: Sums,
    /// By octaves of the rate.
    at: [Sums; OCTAVES],
    /// The most that may be the path's own.
    most: f64,
}

impl Default for Floor {
    fn default() -> Floor {
        Floor {
            all: Sums::default(),
            at: [Sums::default(); OCTAVES],
            most: MOST,
        }
    }
}

impl Floor {
    /// `rate`: what is being sent at, bytes per second.
    fn add(&mut self, (acked, lost): (u64, u64), rate: u64, datagram: u64) {
        self.all.add(acked, lost, datagram);
        let octave = (rate.max(1).ilog2() as usize).min(OCTAVES - 1);
        self.at[octave].add(acked, lost, datagram);
        if lost > 0 {
            self.compare(octave, datagram);
        }
    }

    /// Is as much lost at this rate and below as at a multiple of it?
    fn compare(&mut self, octave: usize, datagram: u64) {
        let here = total(&self.at[..=octave]).part(datagram);
        let above = total(&self.at[(octave + APART).min(OCTAVES)..]).part(datagram);
        let (Some(here), Some(above)) = (here, above) else {
            return;
        };
        if above <= 2.0 * MOST_OWN && here >= AS_MUCH * above {
            self.most = self.most.max(here.min(MOST_OWN));
        }
    }

    /// Has to leave for each byte that comes through. 1 until the loss was seen to be the path's own at rates far apart: made up for
    /// without that, what a policer takes would stay as it is.
    fn sent_for_delivered(&self, datagram: u64) -> f64 {
        if self.most > MOST {
            1.0 / (1.0 - self.part(datagram))
        } else {
            1.0
        }
    }

    /// Part of what is sent that is lost anyway.
    fn part(&self, datagram: u64) -> f64 {
        self.all.part(datagram).unwrap_or(0.0).min(self.most)
    }
}

impl Bbr {
    pub(super) fn update_floor(&mut self, ack: &AckInfo) {
        let calm = matches!(self.state, State::Down | State::Cruise | State::Refill);
        if calm && !self.queue_seen && !self.model.is_settling() {
            let rate = self.model.bw();
            self.floor.add((ack.acked, ack.lost), rate, self.datagram);
            self.set_loss_thresh();
        }
    }

    /// At which the path's bandwidth arrives. The model's is of what is delivered, and a probe of 1.25 times that finds nothing more
    /// where a fifth is lost.
    pub(super) fn send_rate(&self) -> u64 {
        (self.model.bw() as f64 * self.floor.sent_for_delivered(self.datagram)) as u64
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

    const RATE: u64 = 1 << 20;

    #[test]
    fn the_floor_is_what_calm_rounds_lose() {
        let mut floor = Floor::default();
        floor.add((50_000, 50_000), RATE, 1000);
        assert_eq!(floor.part(1000), MOST, "never more than a policer takes");
        (0..100).for_each(|_| floor.add((990_000, 10_000), RATE, 1000));
        assert!((floor.part(1000) - 0.01).abs() < 1e-4, "{floor:?}");
    }

    #[test]
    fn loss_that_does_not_fall_with_the_rate_is_the_paths_own() {
        let after = |at_quarter: u64| {
            let mut floor = Floor::default();
            floor.add((700_000, 300_000), 8 * RATE, 1000);
            floor.add((1_000_000 - at_quarter, at_quarter), RATE, 1000);
            (floor.part(1000), floor)
        };
        let (part, floor) = after(290_000);
        assert!((part - 0.29).abs() < 1e-9, "{floor:?}");
        let (part, floor) = after(200_000);
        assert_eq!(part, MOST, "a policer takes less of less: {floor:?}");
    }

    #[test]
    fn a_few_packets_teach_nothing() {
        let mut floor = Floor::default();
        floor.add((50_000, 40_000), RATE, 1000);
        assert_eq!(floor.part(1000), 0.0);
    }
}
