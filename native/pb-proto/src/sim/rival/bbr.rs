//! BBR version 1 as in Linux (tcp_bbr.c; Cardwell et al. 2016). Windows in segments, rates in segments per second.

use std::collections::VecDeque;

use super::{Acked, Brain};
use crate::rng::Rng;
use crate::time::{Instant, MS, Nanos, SECOND};

/// 2 / ln 2, as tcp_bbr.c rounds it up.
const HIGH_GAIN: f64 = 2.885;
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
const WINDOW_GAIN: f64 = 2.0;
const BANDWIDTH_ROUNDS: u64 = 10;
const MIN_RTT_SPAN: Nanos = 10 * SECOND;
const PROBE_RTT_SPAN: Nanos = 200 * MS;
const MIN_WINDOW: u64 = 4;
const INITIAL_WINDOW: u64 = 10;
/// bbr_pacing_margin_percent.
const MARGIN: f64 = 0.99;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    ProbeBw,
    ProbeRtt,
}

pub struct Bbr {
    mode: Mode,
    rng: Rng,
    window: u64,
    prior_window: u64,
    /// (round, rate), the rates falling.
    rates: VecDeque<(u64, f64)>,
    round: u64,
    round_end: u64,
    round_start: bool,
    full_rate: f64,
    full_rounds: u32,
    min_rtt: Nanos,
    min_rtt_at: Instant,
    probe_rtt_done: Option<Instant>,
    probe_rtt_round: bool,
    cycle: usize,
    cycle_at: Instant,
    conserving: bool,
}

impl Bbr {
    pub fn new(seed: u64) -> Bbr {
        Bbr {
            mode: Mode::Startup,
            rng: Rng::new(seed),
            window: INITIAL_WINDOW,
            prior_window: 0,
            rates: VecDeque::new(),
            round: 0,
            round_end: 0,
            round_start: false,
            full_rate: 0.0,
            full_rounds: 0,
            min_rtt: Nanos::MAX,
            min_rtt_at: Instant(0),
            probe_rtt_done: None,
            probe_rtt_round: false,
            cycle: 0,
            cycle_at: Instant(0),
            conserving: false,
        }
    }

    fn rate(&self) -> f64 {
        self.rates.front().map_or(0.0, |r| r.1)
    }

    fn is_full(&self) -> bool {
        self.full_rounds >= 3
    }

    /// bbr_inflight.
    fn target(&self, gain: f64) -> u64 {
        if self.min_rtt == Nanos::MAX {
            return INITIAL_WINDOW;
        }
        let bdp = self.rate() * self.min_rtt as f64 / SECOND as f64;
        // Room for three offloads of two segments each, and the even number that bbr_quantization_budget makes.
        (bdp * gain).ceil() as u64 + 6
    }

    fn gain(&self) -> f64 {
        match self.mode {
            Mode::Startup => HIGH_GAIN,
            Mode::Drain => 1.0 / HIGH_GAIN,
            Mode::ProbeBw => CYCLE[self.cycle],
            Mode::ProbeRtt => 1.0,
        }
    }

    fn update_rate(&mut self, ack: &Acked) {
        self.round_start = ack.prior_delivered >= self.round_end;
        if self.round_start {
            self.round_end = ack.delivered;
            self.round += 1;
            self.conserving = false;
        }
        while self.rates.back().is_some_and(|r| r.1 <= ack.rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((self.round, ack.rate));
        let oldest = self.round.saturating_sub(BANDWIDTH_ROUNDS);
        while self.rates.front().is_some_and(|r| r.0 < oldest) {
            self.rates.pop_front();
        }
    }

    fn update_cycle(&mut self, ack: &Acked) {
        if self.mode != Mode::ProbeBw {
            return;
        }
        let flown = ack.in_flight + ack.acked + ack.lost;
        let long = ack.now.since(self.cycle_at) > self.min_rtt;
        let next = match self.gain() {
            gain if gain > 1.0 => long && (ack.lost > 0 || flown >= self.target(gain)),
            gain if gain < 1.0 => long || flown <= self.target(1.0),
            _ => long,
        };
        if next {
            self.cycle = (self.cycle + 1) % CYCLE.len();
            self.cycle_at = ack.now;
        }
    }

    fn check_full(&mut self) {
        if self.is_full() || !self.round_start {
            return;
        }
        if self.rate() >= self.full_rate * 1.25 {
            (self.full_rate, self.full_rounds) = (self.rate(), 0);
        } else {
            self.full_rounds += 1;
        }
    }

    fn check_drain(&mut self, ack: &Acked) {
        if self.mode == Mode::Startup && self.is_full() {
            self.mode = Mode::Drain;
        }
        if self.mode == Mode::Drain && ack.in_flight <= self.target(1.0) {
            self.enter_probe_bw(ack.now);
        }
    }

    fn enter_probe_bw(&mut self, now: Instant) {
        self.mode = Mode::ProbeBw;
        // Any phase but the one that drains.
        self.cycle = [0, 2, 3, 4, 5, 6, 7][self.rng.below(7) as usize];
        self.cycle_at = now;
    }

    fn update_min_rtt(&mut self, ack: &Acked) {
        let expired = ack.now.since(self.min_rtt_at) > MIN_RTT_SPAN;
        if ack.rtt < self.min_rtt || expired {
            (self.min_rtt, self.min_rtt_at) = (ack.rtt, ack.now);
        }
        if expired && self.mode != Mode::ProbeRtt {
            self.mode = Mode::ProbeRtt;
            self.prior_window = self.prior_window.max(self.window);
            self.probe_rtt_done = None;
        }
        if self.mode == Mode::ProbeRtt {
            self.sit_out(ack);
        }
    }

    fn sit_out(&mut self, ack: &Acked) {
        let Some(done) = self.probe_rtt_done else {
            if ack.in_flight <= MIN_WINDOW {
                self.probe_rtt_done = Some(ack.now.after(PROBE_RTT_SPAN));
                self.probe_rtt_round = false;
                self.round_end = ack.delivered;
            }
            return;
        };
        self.probe_rtt_round |= self.round_start;
        if self.probe_rtt_round && ack.now > done {
            self.min_rtt_at = ack.now;
            self.window = self.window.max(self.prior_window);
            self.prior_window = 0;
            if self.is_full() {
                self.enter_probe_bw(ack.now);
            } else {
                self.mode = Mode::Startup;
            }
        }
    }

    fn set_window(&mut self, ack: &Acked) {
        self.window = self.window.saturating_sub(ack.lost).max(1);
        if self.conserving {
            self.window = self.window.max(ack.in_flight + ack.acked);
        } else {
            let gain = if self.mode == Mode::Startup {
                HIGH_GAIN
            } else {
                WINDOW_GAIN
            };
            let target = self.target(gain);
            if self.is_full() {
                self.window = (self.window + ack.acked).min(target);
            } else if self.window < target || ack.delivered < INITIAL_WINDOW {
                self.window += ack.acked;
            }
        }
        self.window = self.window.max(MIN_WINDOW);
        if self.mode == Mode::ProbeRtt {
            self.window = self.window.min(MIN_WINDOW);
        }
    }
}

impl Brain for Bbr {
    fn on_ack(&mut self, ack: &Acked) {
        self.update_rate(ack);
        self.update_cycle(ack);
        self.check_full();
        self.check_drain(ack);
        self.update_min_rtt(ack);
        self.set_window(ack);
    }

    fn on_recovery(&mut self, delivered: u64, in_flight: u64) {
        self.prior_window = self.prior_window.max(self.window);
        self.window = in_flight.max(1);
        self.conserving = true;
        // The round of conservation ends with what leaves from now on.
        self.round_end = delivered;
    }

    fn on_recovered(&mut self) {
        self.conserving = false;
        if self.mode != Mode::ProbeRtt {
            self.window = self.window.max(std::mem::take(&mut self.prior_window));
        }
    }

    fn on_timeout(&mut self) {
        self.prior_window = self.prior_window.max(self.window);
        self.window = 1;
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing(&self) -> Option<f64> {
        let gain = self.gain();
        if self.rate() == 0.0 || self.min_rtt == Nanos::MAX {
            return Some(INITIAL_WINDOW as f64 * 1000.0 * gain);
        }
        Some((self.rate() * gain * MARGIN).max(1.0))
    }
}
