//! The first rounds: packet trains whose dispersion tells the bottleneck's rate, then a flight at that rate
//! (docs/design/0006-start-up.md). A measured rate is a lower bound: queueing on either way and late ACKs only make it
//! smaller. Compared with Startup alone, which doubles each round, a train is up to sixteen times the one before.

use super::super::{AckInfo, bytes_in, rate_of};
use crate::time::{Instant, MS, Nanos, US};

/// Below this round trip Startup's rounds cost nothing, and threads that wake late would spoil the measurement.
const MIN_RTT: Nanos = 4 * MS;
/// A train is at most this many times the one before: all that a wrong measurement can flood a path with.
const GROWTH: u64 = 16;
/// Added to every span: the receiver's batches, interrupt moderation and late timers of both sides.
const GRANULARITY: Nanos = 500 * US;
/// A train that arrives at less than this part of the rate at which it left was stretched by the bottleneck.
const STRETCHED: f64 = 0.9;
/// Pacing of the next train, of the last one's rate: above the bottleneck's, to be stretched by it. The first is for
/// trains that are short beside the pipe, so that hardly any queue takes all of it.
const SHORT_TRAIN_GAIN: f64 = 3.0;
const TRAIN_GAIN: f64 = 2.0;
/// A train is short beside a pipe that holds so many of the longest that may follow it.
const SHORT: u64 = 4;
/// Part of the pipe that a train takes, once it is not short.
const TRAIN_SHARE: u64 = 3;
/// Pacing and size of a whole flight, of the rate and the product found: what the trains missed is found here. More with
/// each flight that was not stretched.
const LANDING_GAINS: [f64; 4] = [1.25, 1.5, 2.0, 2.5];
/// Part of a train that must have arrived for its rate to be taken, and for the next to leave unless it was a whole
/// flight, in sixteenths.
const RATED: u64 = 8;
const DECIDED: u64 = 14;
/// What followed the first ACK of a train tells its rate from this part of it on.
const FOLLOWS: u64 = 2;
/// A train that lost more than this part ends the jump.
const LOSS: f64 = 0.05;
/// ... and so many packets.
const LOST_PACKETS: u64 = 6;

/// What the sender should do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another train of so many bytes, at so many bytes per second.
    Train { window: u64, rate: u64 },
    /// The pipe is full: it carries so many bytes per second.
    Landed { rate: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The round trip is not known.
    Waiting,
    Trains,
    /// The train is a whole flight at the rate found.
    Landing,
    Over,
}

/// Bytes that left together. Counted in bytes settled (delivered or lost) since the lane began.
#[derive(Debug, Clone, Copy)]
struct Train {
    from: u64,
    /// Where it ends, once all of it has left.
    until: Option<u64>,
    lost_before: u64,
    first_at: Instant,
    last_at: Instant,
    /// When the first ACK of it came, and how much of it that told of.
    heard: Option<(Instant, u64)>,
    /// The fastest that half of it or more arrived, bytes per second.
    rate: u64,
}

impl Train {
    /// The rate at which so much of it has arrived by now. A train that came later than it was stretched was held up as a
    /// whole, by a delay that wanders or a thread that slept: what followed its first ACK then tells the rate. Else all
    /// since the shortest round trip counts, which is a lower bound whatever happens to ACKs.
    fn arrives_at(&self, now: Instant, delivered: u64, min_rtt: Nanos) -> u64 {
        let span = now.since(self.first_at.after(min_rtt));
        let whole = rate_of(delivered, span + GRANULARITY);
        let Some((heard_at, heard)) = self.heard else {
            return whole;
        };
        let stretch = now.since(heard_at);
        let follows = delivered.saturating_sub(heard);
        let held_up = span.saturating_sub(stretch) > stretch && follows >= delivered / FOLLOWS;
        if held_up {
            whole.max(rate_of(follows, stretch + GRANULARITY))
        } else {
            whole
        }
    }
}

/// State of the jump.
#[derive(Debug)]
pub struct Jump {
    phase: Phase,
    train: Option<Train>,
    settled: u64,
    lost: u64,
    min_rtt: Nanos,
    /// Whole flights that have left.
    landings: usize,
    warm: bool,
}

impl Jump {
    pub fn new() -> Jump {
        Jump {
            phase: Phase::Waiting,
            train: None,
            settled: 0,
            lost: 0,
            min_rtt: 0,
            landings: 0,
            warm: false,
        }
    }

    /// The path's round trip is known. `remembered`: what it carried before, bytes per second. Half of what would fill it
    /// then leaves at that rate, which is the first train and at once the last when it arrives as it left: the unvalidated
    /// phase of Careful Resume (RFC 9959).
    pub fn begin(&mut self, rtt: Nanos, remembered: Option<u64>) -> Option<Step> {
        if self.phase != Phase::Waiting {
            return None;
        }
        self.phase = match remembered {
            _ if rtt < MIN_RTT => Phase::Over,
            None => Phase::Trains,
            Some(_) => Phase::Landing,
        };
        let rate = remembered.filter(|_| self.is_on())?;
        self.warm = true;
        Some(Step::Train {
            window: bytes_in(rate, rtt) / 2,
            rate,
        })
    }

    /// Window and pacing rate are the jump's.
    pub fn is_on(&self) -> bool {
        matches!(self.phase, Phase::Trains | Phase::Landing)
    }

    /// It began from a remembered rate.
    pub fn is_warm(&self) -> bool {
        self.warm
    }

    pub fn stop(&mut self) {
        self.phase = Phase::Over;
    }

    /// A packet left; `full` when no other fits the window any more.
    pub fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64, full: bool) {
        if !self.is_on() {
            return;
        }
        let from = self.settled + in_flight - bytes;
        let lost_before = self.lost;
        let fresh = Train {
            from,
            until: None,
            lost_before,
            first_at: now,
            last_at: now,
            heard: None,
            rate: 0,
        };
        let train = self.train.get_or_insert(fresh);
        if train.until.is_some() {
            return;
        }
        if in_flight == bytes {
            *train = fresh;
        }
        train.last_at = now;
        train.until = full.then_some(from + bytes);
    }

    /// The source paused: the dispersion of what leaves before and after it would be the source's. The train begins anew.
    pub fn on_starved(&mut self) {
        self.train = self.train.filter(|train| train.until.is_some());
    }

    /// Takes an ACK.
    pub fn on_ack(&mut self, ack: &AckInfo, min_rtt: Nanos, datagram: u64) -> Option<Step> {
        self.settled = ack.delivered + ack.total_lost;
        self.lost = ack.total_lost;
        if !self.is_on() {
            return None;
        }
        let train = self.train.as_mut()?;
        let len = train.until? - train.from;
        let arrived = self.settled.saturating_sub(train.from);
        let lost = self.lost - train.lost_before;
        if arrived > 0 && train.heard.is_none() {
            train.heard = Some((ack.now, arrived));
        }
        if arrived * 16 >= len * RATED {
            let rate = train.arrives_at(ack.now, arrived.saturating_sub(lost), min_rtt);
            train.rate = train.rate.max(rate);
        }
        let enough = if self.phase == Phase::Landing {
            RATED
        } else {
            DECIDED
        };
        if arrived * 16 < len * enough {
            return None;
        }
        let train = self.train.take()?;
        let lossy = lost as f64 > len as f64 * LOSS && lost >= LOST_PACKETS * datagram;
        self.min_rtt = min_rtt;
        Some(self.decide(&train, lossy))
    }

    fn decide(&mut self, train: &Train, lossy: bool) -> Step {
        let Train { rate, .. } = *train;
        let len = train.until.unwrap_or(train.from) - train.from;
        let left = rate_of(len, train.last_at.since(train.first_at) + GRANULARITY);
        let stretched = (rate as f64) < left as f64 * STRETCHED;
        if self.phase == Phase::Landing && (stretched || lossy) {
            self.phase = Phase::Over;
            return Step::Landed { rate };
        }
        let product = bytes_in(rate, self.min_rtt);
        let short = product > SHORT * GROWTH * len;
        let found = lossy || product <= len || (stretched && !short);
        if self.phase == Phase::Trains && !found {
            let gain = if short { SHORT_TRAIN_GAIN } else { TRAIN_GAIN };
            return Step::Train {
                window: (product / TRAIN_SHARE).clamp(2 * len, GROWTH * len),
                rate: (rate as f64 * gain) as u64,
            };
        }
        self.phase = Phase::Landing;
        let gain = if lossy {
            1.0
        } else {
            LANDING_GAINS[self.landings.min(LANDING_GAINS.len() - 1)]
        };
        self.landings += 1;
        let gain = |n: u64| (n as f64 * gain) as u64;
        Step::Train {
            window: gain(product).min(GROWTH * len),
            rate: gain(rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Nanos = 100 * MS;
    const PACKET: u64 = 1000;

    /// Sends a train of `len` bytes at once at time 0 and lets `arrives` of it be told at `span` after the round trip.
    fn train(jump: &mut Jump, len: u64, arrives: u64, span: Nanos) -> Option<Step> {
        for sent in (PACKET..=len).step_by(PACKET as usize) {
            jump.on_sent(Instant(0), PACKET, sent, sent == len);
        }
        let ack = AckInfo {
            now: Instant(RTT + span),
            delivered: arrives,
            total_lost: len - arrives,
            ..AckInfo::default()
        };
        jump.on_ack(&ack, RTT, PACKET)
    }

    fn begun(remembered: Option<u64>) -> Jump {
        let mut jump = Jump::new();
        jump.begin(RTT, remembered);
        jump
    }

    #[test]
    fn a_train_that_is_not_stretched_is_followed_by_a_longer_one() {
        let step = train(&mut begun(None), 32_000, 32_000, 0).unwrap();
        let Step::Train { window, rate } = step else {
            panic!("{step:?}")
        };
        assert_eq!(window, GROWTH * 32_000);
        assert_eq!(rate, 3 * 64_000_000, "32 kB in the granularity");
    }

    #[test]
    fn a_train_begins_when_the_source_gives_all_of_it() {
        let mut jump = begun(None);
        jump.on_sent(Instant(0), 100, 100, false);
        jump.on_starved();
        for sent in (PACKET..=32_000).step_by(PACKET as usize) {
            jump.on_sent(Instant(30 * MS), PACKET, 100 + sent, sent == 32_000);
        }
        let ack = AckInfo {
            now: Instant(30 * MS + RTT),
            delivered: 32_100,
            ..AckInfo::default()
        };
        let step = jump.on_ack(&ack, RTT, PACKET);
        let (window, rate) = (GROWTH * 32_000, 3 * 64_000_000);
        assert_eq!(step, Some(Step::Train { window, rate }));
    }

    #[test]
    fn a_train_that_came_late_as_a_whole_was_not_stretched() {
        let mut jump = begun(None);
        for sent in (PACKET..=32_000).step_by(PACKET as usize) {
            jump.on_sent(Instant(0), PACKET, sent, sent == 32_000);
        }
        let ack = |span, delivered| AckInfo {
            now: Instant(RTT + 8 * MS + span),
            delivered,
            ..AckInfo::default()
        };
        assert_eq!(jump.on_ack(&ack(0, PACKET), RTT, PACKET), None);
        let step = jump.on_ack(&ack(120 * US, 32_000), RTT, PACKET);
        let Some(Step::Train { window, rate }) = step else {
            panic!("{step:?}")
        };
        assert_eq!(window, GROWTH * 32_000);
        assert_eq!(rate, 3 * 50_000_000, "31 kB in 0.62 ms");
    }

    #[test]
    fn a_stretched_train_is_followed_by_a_flight_that_fits_the_path() {
        let mut jump = begun(None);
        let step = train(&mut jump, 32_000, 32_000, 31_500 * US).unwrap();
        let product = 1_000_000 / 10;
        assert_eq!(
            step,
            Step::Train {
                window: product * 5 / 4,
                rate: 1_250_000
            }
        );
        assert!(jump.is_on());
    }

    #[test]
    fn a_lossy_train_is_not_outdone() {
        let step = train(&mut begun(None), 32_000, 16_000, 15_500 * US).unwrap();
        assert_eq!(
            step,
            Step::Train {
                window: 100_000,
                rate: 1_000_000
            }
        );
    }

    #[test]
    fn a_remembered_rate_is_replaced_by_what_its_flight_shows() {
        let mut jump = Jump::new();
        let first = jump.begin(RTT, Some(10_000_000));
        let window = 500_000;
        assert_eq!(
            first,
            Some(Step::Train {
                window,
                rate: 10_000_000
            })
        );
        let step = train(&mut jump, window, window, 499_500 * US);
        assert_eq!(step, Some(Step::Landed { rate: 1_000_000 }));
        assert!(!jump.is_on() && jump.is_warm());
    }

    #[test]
    fn short_paths_do_without() {
        let mut jump = Jump::new();
        assert_eq!(jump.begin(MS, Some(1_000_000)), None);
        assert!(!jump.is_on() && !jump.is_warm());
    }
}
