//! HyStart++ (RFC 9406): leaves slow start on a rise of the round trip, through a conservative phase that may be left
//! again when the rise was noise.

use crate::time::{MS, Nanos};

const MIN_RTT_THRESH: Nanos = 4 * MS;
const MAX_RTT_THRESH: Nanos = 16 * MS;
const MIN_RTT_DIVISOR: Nanos = 8;
/// Samples of a round before its minimum says something. N_RTT_SAMPLE is 8 where every second packet is acknowledged; here
/// one ACK is for up to 24.
const SAMPLES: u32 = 4;
/// Growth in conservative slow start, as a divisor (CSS_GROWTH_DIVISOR).
const CSS_GROWTH_DIVISOR: u64 = 4;
/// Rounds of conservative slow start before congestion avoidance (CSS_ROUNDS).
const CSS_ROUNDS: u32 = 5;

/// State of one slow start.
#[derive(Debug, Clone)]
pub struct HyStart {
    last_min: Nanos,
    round_min: Nanos,
    samples: u32,
    /// The round ends when a number at or above this is acknowledged.
    round_end: u64,
    /// Conservative slow start: its baseline and the rounds spent in it.
    css: Option<(Nanos, u32)>,
}

impl HyStart {
    pub fn new() -> HyStart {
        HyStart {
            last_min: Nanos::MAX,
            round_min: Nanos::MAX,
            samples: 0,
            round_end: 0,
            css: None,
        }
    }

    /// Takes an ACK in slow start. True when slow start is over.
    pub fn on_ack(&mut self, rtt: Option<Nanos>, largest_acked: u64, next_packet: u64) -> bool {
        if let Some(rtt) = rtt {
            self.round_min = self.round_min.min(rtt);
            self.samples += 1;
            self.check_rise();
        }
        largest_acked >= self.round_end && self.end_round(next_packet)
    }

    fn check_rise(&mut self) {
        if self.samples < SAMPLES || self.round_min == Nanos::MAX || self.last_min == Nanos::MAX {
            return;
        }
        match self.css {
            None => {
                let threshold =
                    (self.last_min / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if self.round_min >= self.last_min.saturating_add(threshold) {
                    self.css = Some((self.round_min, 0));
                }
            }
            Some((baseline, _)) if self.round_min < baseline => self.css = None,
            Some(_) => {}
        }
    }

    fn end_round(&mut self, next_packet: u64) -> bool {
        self.round_end = next_packet;
        self.last_min = self.round_min;
        (self.round_min, self.samples) = (Nanos::MAX, 0);
        let Some((_, rounds)) = &mut self.css else {
            return false;
        };
        *rounds += 1;
        *rounds > CSS_ROUNDS
    }

    /// Window growth for `acked` bytes. Paced, so without the limit L of section 4.2.
    pub fn growth(&self, acked: u64) -> u64 {
        if self.css.is_some() {
            acked / CSS_GROWTH_DIVISOR
        } else {
            acked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(h: &mut HyStart, round: u64, rtt: Nanos) -> bool {
        (0..20).any(|i| h.on_ack(Some(rtt), round * 20 + i, round * 20 + 20 + i))
    }

    #[test]
    fn a_steady_rise_ends_slow_start_after_five_rounds() {
        let mut h = HyStart::new();
        assert!((0..3).all(|r| !round(&mut h, r, 20 * MS)));
        let left = (3..30).find(|&r| round(&mut h, r, 30 * MS)).unwrap();
        assert!((8..=10).contains(&left), "{left}");
    }

    #[test]
    fn noise_does_not() {
        let mut h = HyStart::new();
        for r in 0..30 {
            let rtt = if r % 3 == 2 { 30 * MS } else { 20 * MS };
            assert!(!round(&mut h, r, rtt), "round {r}");
        }
    }

    #[test]
    fn conservative_growth_is_a_quarter() {
        let mut h = HyStart::new();
        (0..3).for_each(|r| assert!(!round(&mut h, r, 20 * MS)));
        assert_eq!(h.growth(1000), 1000);
        assert!(!round(&mut h, 3, 30 * MS));
        assert_eq!(h.growth(1000), 250);
    }
}
