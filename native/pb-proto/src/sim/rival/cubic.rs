//! CUBIC as in Linux (RFC 9438, HyStart by delay).

use super::{Acked, Brain};
use crate::time::{Instant, MS, Nanos, SECOND};

const BETA: f64 = 0.7;
const C: f64 = 0.4;
const INITIAL_WINDOW: f64 = 10.0;
/// HyStart: samples of a round that count, and the rise of the round trip that ends slow start.
const SAMPLES: u32 = 8;
const MIN_RISE: Nanos = 4 * MS;
const MAX_RISE: Nanos = 16 * MS;

pub struct Cubic {
    window: f64,
    ssthresh: f64,
    w_max: f64,
    k: f64,
    w_est: f64,
    epoch: Option<Instant>,
    min_rtt: Nanos,
    srtt: Nanos,
    round_end: u64,
    round_min: Nanos,
    samples: u32,
}

impl Cubic {
    pub fn new() -> Cubic {
        Cubic {
            window: INITIAL_WINDOW,
            ssthresh: f64::INFINITY,
            w_max: 0.0,
            k: 0.0,
            w_est: 0.0,
            epoch: None,
            min_rtt: Nanos::MAX,
            srtt: 0,
            round_end: 0,
            round_min: Nanos::MAX,
            samples: 0,
        }
    }

    fn slow_start(&mut self, ack: &Acked) {
        self.window += ack.acked as f64;
        if ack.prior_delivered >= self.round_end {
            self.round_end = ack.delivered;
            (self.round_min, self.samples) = (Nanos::MAX, 0);
        }
        if self.samples < SAMPLES {
            self.samples += 1;
            self.round_min = self.round_min.min(ack.rtt);
        }
        let rise = (self.min_rtt / 8).clamp(MIN_RISE, MAX_RISE);
        if self.samples == SAMPLES && self.round_min > self.min_rtt + rise {
            self.ssthresh = self.window;
        }
    }

    fn avoid(&mut self, ack: &Acked) {
        let epoch = *self.epoch.get_or_insert_with(|| {
            self.w_max = self.w_max.max(self.window);
            self.k = ((self.w_max - self.window) / C).cbrt();
            self.w_est = self.window;
            ack.now
        });
        let acked = ack.acked as f64;
        let alpha = if self.w_est >= self.w_max {
            1.0
        } else {
            3.0 * (1.0 - BETA) / (1.0 + BETA)
        };
        self.w_est += alpha * acked / self.window;
        let t = ack.now.since(epoch).saturating_add(self.srtt) as f64 / SECOND as f64;
        let target = C * (t - self.k).powi(3) + self.w_max;
        let target = target.clamp(self.window, 1.5 * self.window);
        self.window += (target - self.window) / self.window * acked;
        self.window = self.window.max(self.w_est);
    }

    fn reduce(&mut self) {
        self.w_max = if self.window < self.w_max {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.ssthresh = (self.window * BETA).max(2.0);
        self.epoch = None;
    }
}

impl Brain for Cubic {
    fn on_ack(&mut self, ack: &Acked) {
        self.min_rtt = self.min_rtt.min(ack.rtt);
        self.srtt = if self.srtt == 0 {
            ack.rtt
        } else {
            (7 * self.srtt + ack.rtt) / 8
        };
        if ack.recovering {
            return;
        }
        if self.window < self.ssthresh {
            self.slow_start(ack);
        } else {
            self.avoid(ack);
        }
    }

    fn on_recovery(&mut self, _: u64, _: u64) {
        self.reduce();
        self.window = self.ssthresh;
    }

    fn on_recovered(&mut self) {
        self.window = self.ssthresh;
    }

    fn on_timeout(&mut self) {
        self.reduce();
        self.window = 1.0;
    }

    fn window(&self) -> u64 {
        self.window as u64
    }

    fn pacing(&self) -> Option<f64> {
        None
    }
}
