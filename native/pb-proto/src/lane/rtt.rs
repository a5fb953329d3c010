//! Round-trip estimation (RFC 9002 section 5) and the probe timeout (section 6.2).

use super::config::MAX_ACK_DELAY;
use crate::time::{MS, Nanos, SECOND};

/// Assumed before the first sample.
const INITIAL: Nanos = 100 * MS;
/// Timers finer than this misfire when a thread is late (RFC 9002 section 6.1.2).
pub const GRANULARITY: Nanos = MS;
/// A probe leaves at least this often while something is in flight, so that a path that was down is found up.
const MAX_BACKED_OFF: Nanos = 2 * SECOND;

/// Round-trip times of a path, nanoseconds.
#[derive(Debug, Clone)]
pub struct Rtt {
    pub min: Option<Nanos>,
    pub smoothed: Nanos,
    pub var: Nanos,
    pub latest: Nanos,
}

impl Rtt {
    pub fn new(hint: Option<Nanos>) -> Rtt {
        let first = hint.unwrap_or(INITIAL).max(1);
        Rtt {
            min: None,
            smoothed: first,
            var: first / 2,
            latest: first,
        }
    }

    /// Takes a sample; `ack_delay` is how long the peer says it held the ACK back.
    pub fn update(&mut self, sample: Nanos, ack_delay: Nanos) {
        let sample = sample.max(1);
        self.latest = sample;
        let Some(min) = self.min else {
            (self.min, self.smoothed, self.var) = (Some(sample), sample, sample / 2);
            return;
        };
        let min = min.min(sample);
        self.min = Some(min);
        let delay = ack_delay.min(MAX_ACK_DELAY);
        let adjusted = if sample >= min + delay {
            sample - delay
        } else {
            sample
        };
        self.var = (3 * self.var + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (7 * self.smoothed + adjusted) / 8;
    }

    /// Time after which a probe is sent when nothing was acknowledged.
    pub fn pto(&self) -> Nanos {
        self.smoothed + (4 * self.var).max(GRANULARITY) + MAX_ACK_DELAY
    }

    /// The probe timeout after `count` unanswered probes.
    pub fn pto_backed_off(&self, count: u32) -> Nanos {
        let pto = self.pto();
        pto.saturating_mul(1 << count.min(16))
            .min(MAX_BACKED_OFF.max(pto))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_rfc9002() {
        let mut rtt = Rtt::new(None);
        rtt.update(40 * MS, 0);
        assert_eq!(
            (rtt.smoothed, rtt.var, rtt.min),
            (40 * MS, 20 * MS, Some(40 * MS))
        );
        rtt.update(48 * MS, 3 * MS);
        assert_eq!(rtt.smoothed, (7 * 40 + 45) * MS / 8);
        assert_eq!(rtt.var, (3 * 20 + 5) * MS / 4);
        rtt.update(30 * MS, 3 * MS);
        assert_eq!(
            rtt.min,
            Some(30 * MS),
            "the delay is not taken off a minimum"
        );
    }

    #[test]
    fn probes_keep_coming() {
        let mut rtt = Rtt::new(None);
        rtt.update(40 * MS, 0);
        assert_eq!(rtt.pto(), 125 * MS);
        assert_eq!(rtt.pto_backed_off(1), 250 * MS);
        assert_eq!(rtt.pto_backed_off(30), 2 * SECOND);
    }
}
