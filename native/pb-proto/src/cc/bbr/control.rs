//! From the model to a window and a rate.

use super::super::{AckInfo, bytes_in};
use super::filter::RoundMax;
use super::{Bbr, PACING_MARGIN, State};
use crate::time::{Instant, MS, Nanos, US};

/// Shortest round trip that windows are sized for: ACKs are held back 250 us, and threads wake late by about as much.
const MIN_WINDOW_RTT: Nanos = 250 * US;
/// One GSO train.
const MAX_QUANTUM: u64 = 64 << 10;

/// What is asked of the sender.
#[derive(Debug)]
pub struct Control {
    pub window: u64,
    pub pacing_rate: u64,
    /// The window before ProbeRTT or persistent congestion.
    saved: u64,
    initial: u64,
    extra_acked: RoundMax,
    interval_start: Instant,
    interval_acked: u64,
    /// Something was sent with a full window since the last round began.
    pub window_full: bool,
}

impl Control {
    pub fn new(window: u64, pacing_rate: u64) -> Control {
        Control {
            window,
            pacing_rate,
            saved: 0,
            initial: window,
            extra_acked: RoundMax::default(),
            interval_start: Instant(0),
            interval_acked: 0,
            window_full: false,
        }
    }

    pub fn save(&mut self) {
        self.saved = self.saved.max(self.window);
    }

    /// BBRRestoreCwnd.
    pub fn restore(&mut self) {
        self.window = self.window.max(std::mem::take(&mut self.saved));
    }

    pub fn on_sent(&mut self, in_flight: u64, datagram: u64) {
        self.window_full |= in_flight + datagram > self.window;
    }

    pub fn on_idle(&mut self, now: Instant) {
        (self.interval_start, self.interval_acked) = (now, 0);
    }
}

impl Bbr {
    /// Bandwidth-delay product times `gain`, bytes.
    pub(super) fn bdp(&self, gain: f64) -> u64 {
        let Some(rtt) = self.min_rtt.get() else {
            return self.control.initial;
        };
        (bytes_in(self.send_rate(), rtt.max(MIN_WINDOW_RTT)) as f64 * gain) as u64
    }

    /// BBRInflight: a BDP with room for what offloads and trains hold.
    pub(super) fn inflight(&self, gain: f64) -> u64 {
        self.quantize(self.bdp(gain))
    }

    fn quantize(&self, bytes: u64) -> u64 {
        let up = if self.state == State::Up {
            2 * self.datagram
        } else {
            0
        };
        bytes.max(3 * self.quantum()).max(self.min_pipe()) + up
    }

    /// Bytes of one train: 1 ms at the pacing rate, at most one GSO send, at least two packets.
    fn quantum(&self) -> u64 {
        bytes_in(self.control.pacing_rate, MS)
            .min(MAX_QUANTUM)
            .max(2 * self.datagram)
    }

    /// BBRUpdateACKAggregation: how far ACKs run ahead of the estimated rate.
    pub(super) fn update_ack_aggregation(&mut self, ack: &AckInfo) {
        let expected = bytes_in(self.model.bw(), ack.now.since(self.control.interval_start));
        if self.control.interval_acked <= expected {
            self.control.on_idle(ack.now);
        }
        let expected = bytes_in(self.model.bw(), ack.now.since(self.control.interval_start));
        self.control.interval_acked += ack.acked;
        let extra = self
            .control
            .interval_acked
            .saturating_sub(expected)
            .min(self.control.window);
        self.control.extra_acked.update(self.model.round, extra);
    }

    pub(super) fn set_pacing_rate(&mut self) {
        self.set_pacing_rate_with(self.state.pacing_gain());
    }

    fn set_pacing_rate_with(&mut self, gain: f64) {
        if self.jump.is_on() {
            return;
        }
        let rate = (self.send_rate() as f64 * gain * PACING_MARGIN) as u64;
        if rate > 0 && (self.model.full_bw_reached || rate > self.control.pacing_rate) {
            self.control.pacing_rate = rate;
        }
    }

    pub(super) fn set_window(&mut self, ack: &AckInfo) {
        if self.jump.is_on() {
            return;
        }
        let lost = if self.model.is_settling() {
            0
        } else {
            ack.lost
        };
        let mut window = self.control.window.saturating_sub(lost).max(self.datagram);
        let max = self.quantize(self.bdp(self.state.cwnd_gain()) + self.control.extra_acked.get());
        if self.model.full_bw_reached {
            window = (window + ack.acked).min(max);
        } else if window < max || ack.delivered < self.control.initial {
            window += ack.acked;
        }
        window = window.max(self.min_pipe());
        if self.state == State::ProbeRtt {
            window = window.min(self.probe_rtt_window());
        }
        self.control.window = window.min(self.window_bound());
        if self.model.round_start {
            self.control.window_full = ack.in_flight + self.datagram > self.control.window;
        }
    }

    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.bdp(State::ProbeRtt.cwnd_gain()).max(self.min_pipe())
    }

    /// BBRBoundCwndForModel.
    fn window_bound(&self) -> u64 {
        let high = match self.state {
            State::Cruise | State::ProbeRtt => self.inflight_with_headroom(),
            state if state.is_probe_bw() => self.model.inflight_hi,
            _ => None,
        };
        let bound = high
            .unwrap_or(u64::MAX)
            .min(self.model.inflight_lo.unwrap_or(u64::MAX));
        bound.max(self.min_pipe())
    }

    /// BBRHandleRestartFromIdle: the queue is empty, so the plain rate is enough.
    pub(super) fn restart_from_idle(&mut self, now: Instant) {
        self.idle_restart = true;
        self.control.on_idle(now);
        if self.state.is_probe_bw() {
            self.set_pacing_rate_with(1.0);
        } else if self.state == State::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }
}
