//! One direction of a network: a queue in front of a wire, with everything that can go wrong on the way.

use crate::rng::Rng;
use crate::time::{Instant, Nanos, SECOND};

/// Bytes of IPv4 and UDP headers that a datagram takes on the wire.
const HEADERS: u64 = 28;

/// Two-state loss (Gilbert 1960, Elliott 1963): chances for each packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    pub to_bad: f64,
    pub to_good: f64,
    /// Chance to be lost while the state is bad.
    pub loss: f64,
}

/// What one direction is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Bytes per second.
    pub rate: u64,
    pub delay: Nanos,
    /// Up to this is added to the delay; packets keep their order.
    pub jitter: Nanos,
    /// Up to this is added to the delay, as a value that wanders: drawn anew every two of its spans, straight lines between.
    pub wander: Nanos,
    /// Bytes that may wait; the last to come is dropped.
    pub queue: u64,
    pub loss: f64,
    pub bursts: Option<Bursts>,
    /// Chance to be held back by up to `reorder_by`, past those behind.
    pub reorder: f64,
    pub reorder_by: Nanos,
    pub duplicate: f64,
    /// Chance that a byte is flipped, so that the tag is wrong.
    pub corrupt: f64,
    /// Largest UDP payload that passes; others vanish.
    pub mtu: u16,
    /// From `.0` on `mtu` is `.1`.
    pub mtu_change: Option<(Instant, u16)>,
    /// Nothing passes within.
    pub down: Option<(Instant, Instant)>,
}

impl Path {
    /// A clean path with a queue of one bandwidth-delay product (of both directions), at least 64 KiB.
    pub fn clean(rate: u64, delay: Nanos) -> Path {
        let bdp = (u128::from(rate) * u128::from(2 * delay) / u128::from(SECOND)) as u64;
        Path {
            rate,
            delay,
            jitter: 0,
            wander: 0,
            queue: bdp.max(64 << 10),
            loss: 0.0,
            bursts: None,
            reorder: 0.0,
            reorder_by: 0,
            duplicate: 0.0,
            corrupt: 0.0,
            mtu: 1472,
            mtu_change: None,
            down: None,
        }
    }
}

/// An odd constant that keeps the wander's numbers apart from the others'.
const WANDER: u64 = 0xd6e8_feb8_6659_fd93;

/// What became of the packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fates {
    pub sent: u64,
    /// Bytes that the wire carried, with headers.
    pub bytes: u64,
    pub lost: u64,
    pub overflowed: u64,
    pub too_large: u64,
    pub corrupted: u64,
    pub duplicated: u64,
}

/// A path in use.
#[derive(Debug)]
pub struct Link {
    pub path: Path,
    pub fates: Fates,
    seed: u64,
    rng: Rng,
    busy_until: Instant,
    last_arrival: Instant,
    bad: bool,
}

/// When a copy of a packet arrives, and whether it is whole.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub at: Instant,
    pub whole: bool,
}

impl Link {
    pub fn new(path: Path, seed: u64) -> Link {
        let (zero, fates) = (Instant(0), Fates::default());
        Link {
            path,
            fates,
            seed,
            rng: Rng::new(seed),
            busy_until: zero,
            last_arrival: zero,
            bad: false,
        }
    }

    /// Sends a datagram of `size` bytes: no, one or two arrivals.
    pub fn send(&mut self, now: Instant, size: u16) -> [Option<Arrival>; 2] {
        self.fates.sent += 1;
        if !self.enqueue(now, size) || self.is_lost(now) {
            return [None, None];
        }
        let first = self.arrive();
        let copy = self.rng.chance(self.path.duplicate).then(|| self.arrive());
        self.fates.duplicated += u64::from(copy.is_some());
        [Some(first), copy]
    }

    fn enqueue(&mut self, now: Instant, size: u16) -> bool {
        let mtu = self
            .path
            .mtu_change
            .filter(|c| c.0 <= now)
            .map_or(self.path.mtu, |c| c.1);
        if size > mtu {
            self.fates.too_large += 1;
            return false;
        }
        let bytes = u64::from(size) + HEADERS;
        if self.queued(now) + bytes > self.path.queue {
            self.fates.overflowed += 1;
            return false;
        }
        let on_wire = bytes * SECOND / self.path.rate.max(1);
        self.busy_until = self.busy_until.max(now).after(on_wire);
        self.fates.bytes += bytes;
        true
    }

    /// Bytes that wait.
    pub fn queued(&self, now: Instant) -> u64 {
        let span = u128::from(self.busy_until.since(now));
        (span * u128::from(self.path.rate) / u128::from(SECOND)) as u64
    }

    fn is_lost(&mut self, now: Instant) -> bool {
        let down = self
            .path
            .down
            .is_some_and(|(from, to)| now >= from && now < to);
        let mut lost = self.rng.chance(self.path.loss) | down;
        if let Some(bursts) = self.path.bursts {
            let turn = if self.bad {
                bursts.to_good
            } else {
                bursts.to_bad
            };
            self.bad ^= self.rng.chance(turn);
            lost |= self.bad && self.rng.chance(bursts.loss);
        }
        self.fates.lost += u64::from(lost);
        lost
    }

    fn wandered(&self) -> Nanos {
        let (most, period) = (self.path.wander, 2 * self.path.wander);
        if period == 0 {
            return 0;
        }
        let (turn, part) = (self.busy_until.0 / period, self.busy_until.0 % period);
        let drawn = |turn: u64| Rng::new(self.seed ^ turn.wrapping_mul(WANDER)).below(most + 1);
        (drawn(turn) * (period - part) + drawn(turn + 1) * part) / period
    }

    fn arrive(&mut self) -> Arrival {
        let jitter = self.rng.below(self.path.jitter + 1);
        let mut at = self
            .busy_until
            .after(self.path.delay + jitter + self.wandered())
            .max(self.last_arrival);
        if self.rng.chance(self.path.reorder) {
            at = at.after(self.rng.below(self.path.reorder_by));
        } else {
            self.last_arrival = at;
        }
        let corrupt = self.rng.chance(self.path.corrupt);
        self.fates.corrupted += u64::from(corrupt);
        Arrival {
            at,
            whole: !corrupt,
        }
    }
}
