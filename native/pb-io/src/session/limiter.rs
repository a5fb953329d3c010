//! A token bucket over units, for `--limit`.

use std::time::Instant;

/// The bucket holds a quarter of a second, and may go into debt by one unit: long-run rate exact, bursts bounded.
pub struct Limiter {
    rate: f64,
    tokens: f64,
    at: Instant,
}

const BURST_SECONDS: f64 = 0.25;

impl Limiter {
    /// `rate` in bytes per second.
    pub fn new(rate: u64, now: Instant) -> Limiter {
        Limiter {
            rate: rate.max(1) as f64,
            tokens: 0.0,
            at: now,
        }
    }

    /// Takes `bytes`, or says after how many nanoseconds to ask again.
    pub fn take(&mut self, bytes: u64, now: Instant) -> Result<(), u64> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.at = now;
        self.tokens = (self.tokens + gained).min(self.rate * BURST_SECONDS);
        if self.tokens < 0.0 {
            return Err((-self.tokens / self.rate * 1e9) as u64 + 1);
        }
        self.tokens -= bytes as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn long_run_rate_is_the_limit() {
        let start = Instant::now();
        let mut l = Limiter::new(10 << 20, start);
        let (mut now, mut sent) = (start, 0u64);
        while now < start + Duration::from_secs(10) {
            match l.take(1 << 20, now) {
                Ok(()) => sent += 1 << 20,
                Err(ns) => now += Duration::from_nanos(ns),
            }
        }
        assert!((100 << 20..=102 << 20).contains(&sent), "{sent}");
    }
}
