//! Pacing: a leaky bucket that lets trains of packets go. The clock is given in.

use crate::time::{Instant, MS, Nanos, US};

/// Span of one train at the pacing rate.
const TRAIN_SPAN: Nanos = 500 * US;
/// What may be made up for when the driver's timer was late.
const LATE_SPAN: Nanos = MS;
/// Largest train: one GSO send.
const MAX_TRAIN: u64 = 64 << 10;
/// Below this round trip timers are too coarse to pace by: the window alone limits.
const UNPACED_RTT: Nanos = 100 * US;

/// A bucket of bytes that fills at the pacing rate.
#[derive(Debug, Clone)]
pub struct Pacer {
    /// Bytes per second.
    rate: u64,
    datagram: u64,
    paced: bool,
    /// Bytes that may leave now; negative after a train that was larger than the bucket's content.
    level: i64,
    /// Part of a byte, in units of 1e-9 bytes, that the last refill left over.
    rest: u64,
    filled_at: Instant,
}

impl Pacer {
    /// A full bucket.
    pub fn new(now: Instant, rate: u64, datagram: u64) -> Pacer {
        let mut pacer = Pacer {
            rate,
            datagram,
            paced: true,
            level: 0,
            rest: 0,
            filled_at: now,
        };
        pacer.level = pacer.capacity();
        pacer
    }

    /// Sets the rate (bytes per second) and says what the path is like now.
    pub fn update(&mut self, now: Instant, rate: u64, datagram: u64, min_rtt: Option<Nanos>) {
        self.refill(now);
        self.rate = rate;
        self.datagram = datagram;
        self.paced = min_rtt.is_none_or(|rtt| rtt >= UNPACED_RTT);
        self.level = self.level.min(self.capacity());
    }

    /// Bytes of one train: rate x 0.5 ms, between two packets and 64 KiB (but at least one packet).
    pub fn train(&self) -> u64 {
        let floor = (2 * self.datagram).min(MAX_TRAIN.max(self.datagram));
        self.span_bytes(TRAIN_SPAN).min(MAX_TRAIN).max(floor)
    }

    /// Bytes that may leave now: 0, or at least a train's worth.
    pub fn budget(&mut self, now: Instant) -> u64 {
        if !self.paced {
            return u64::MAX;
        }
        self.refill(now);
        if self.level >= self.threshold() {
            self.level as u64
        } else {
            0
        }
    }

    /// When [`Pacer::budget`] will be above 0; now, when it is already.
    pub fn ready_at(&self, now: Instant) -> Instant {
        let missing = self.threshold() - self.level;
        if !self.paced || missing <= 0 {
            return now;
        }
        let wait = (missing as u128 * 1_000_000_000 - u128::from(self.rest))
            .div_ceil(u128::from(self.rate.max(1)));
        self.filled_at.after(wait.min(u128::from(u64::MAX)) as u64)
    }

    /// Takes what was sent. The bucket may go below empty by one train.
    pub fn sent(&mut self, bytes: u64) {
        if self.paced {
            self.level = self.level.saturating_sub_unsigned(bytes);
        }
    }

    /// The pacing rate, bytes per second; 0 where nothing is paced.
    pub fn rate(&self) -> u64 {
        if self.paced { self.rate } else { 0 }
    }

    fn threshold(&self) -> i64 {
        self.train() as i64
    }

    fn capacity(&self) -> i64 {
        self.span_bytes(LATE_SPAN)
            .max(2 * self.train())
            .min(i64::MAX as u64) as i64
    }

    fn span_bytes(&self, span: Nanos) -> u64 {
        (u128::from(self.rate) * u128::from(span) / 1_000_000_000).min(1 << 62) as u64
    }

    fn refill(&mut self, now: Instant) {
        let gained =
            u128::from(self.rate) * u128::from(now.since(self.filled_at)) + u128::from(self.rest);
        let room = self.capacity().saturating_sub(self.level).max(0);
        self.filled_at = self.filled_at.max(now);
        let bytes = gained / 1_000_000_000;
        if bytes >= room as u128 {
            self.level += room;
            self.rest = 0;
            return;
        }
        self.level += bytes as i64;
        self.rest = (gained % 1_000_000_000) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    #[test]
    fn long_run_rate_is_exact() {
        for rate in [10_000, 1_000_000, 125_000_000, 1_250_000_000] {
            let mut now = Instant(0);
            let mut pacer = Pacer::new(now, rate, 1456);
            let mut sent = 0;
            while now < Instant(10 * SECOND) {
                let budget = pacer.budget(now).min(64 << 10);
                pacer.sent(budget);
                sent += budget;
                now = pacer.ready_at(now).max(now.after(1));
            }
            let want = rate * 10;
            assert!(
                sent >= want * 99 / 100 && sent <= want * 101 / 100 + 4 * 1456 * 10,
                "{rate}: {sent} of {want}"
            );
        }
    }

    #[test]
    fn trains_are_bounded() {
        let pacer = |rate, datagram| Pacer::new(Instant(0), rate, datagram).train();
        assert_eq!(pacer(1_000, 1456), 2 * 1456);
        assert_eq!(pacer(20_000_000, 1456), 10_000);
        assert_eq!(pacer(10_000_000_000, 1456), 64 << 10);
        assert_eq!(pacer(1_000, 65_487), 64 << 10);
    }

    #[test]
    fn an_idle_bucket_does_not_grow_without_bound() {
        let mut pacer = Pacer::new(Instant(0), 125_000_000, 1456);
        assert_eq!(pacer.budget(Instant(3600 * SECOND)), 125_000);
    }

    #[test]
    fn short_paths_are_not_paced() {
        let mut pacer = Pacer::new(Instant(0), 1_000, 1456);
        pacer.sent(1 << 20);
        assert_eq!(pacer.budget(Instant(0)), 0);
        pacer.update(Instant(0), 1_000, 1456, Some(50 * US));
        assert_eq!(pacer.budget(Instant(0)), u64::MAX);
        assert_eq!(pacer.rate(), 0);
    }
}
