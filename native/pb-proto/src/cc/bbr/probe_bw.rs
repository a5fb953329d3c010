//! ProbeBW: Down, Cruise, Refill, Up.

use super::super::{AckInfo, RateSample};
use super::{BETA, Bbr, HEADROOM, State};
use crate::time::{Instant, Nanos, SECOND};

/// Probes come at least as often as Reno would reach the same window, up to this many rounds.
const RENO_ROUNDS: u64 = 63;
/// Rounds of a cycle beside somebody who does not answer to loss, about as many as BBR version 1 takes.
const INSISTENT_ROUNDS: u64 = 10;

/// What the ACKs that come now were sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AckPhase {
    #[default]
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

/// State of the cycle.
#[derive(Debug, Default)]
pub struct Cycle {
    /// Samples of a probe are coming, so their loss sets the bound.
    pub samples: bool,
    started: Instant,
    wait: Nanos,
    probed_round: u64,
    acks: AckPhase,
    up_rounds: u32,
    up_acks: u64,
    /// Acknowledged bytes for each packet that the bound grows by.
    up_bytes: u64,
}

impl Cycle {
    /// ACKs from now on are of packets sent after a probe.
    pub fn stop_probing(&mut self) {
        self.acks = AckPhase::Stopping;
    }
}

impl Bbr {
    /// BBRUpdateProbeBWCyclePhase.
    pub(super) fn update_cycle(&mut self, ack: &AckInfo, rs: &RateSample) {
        if !self.model.full_bw_reached || self.state == State::Coexist {
            return;
        }
        self.adapt_upper_bound(ack, rs);
        let state = self.state;
        let round_start = self.model.round_start;
        if matches!(state, State::Down | State::Cruise) && self.check_time_to_probe(ack) {
            return;
        }
        if state == State::Down && self.is_time_to_cruise(ack) {
            self.enter(State::Cruise);
        } else if state == State::Refill && round_start {
            self.cycle.samples = true;
            self.start_up(ack, rs);
        } else if state == State::Up && self.is_time_to_go_down(ack, rs) {
            self.start_down(ack);
        }
    }

    pub(super) fn start_down(&mut self, ack: &AckInfo) {
        self.go_down(ack.now);
    }

    /// After ProbeRTT the queue is empty: no need to go down.
    pub(super) fn resume_cruise(&mut self, now: Instant) {
        self.go_down(now);
        self.enter(State::Cruise);
    }

    fn go_down(&mut self, now: Instant) {
        self.model.reset_congestion_signals();
        self.cycle.up_bytes = u64::MAX;
        self.cycle.probed_round = self.model.round.saturating_sub(self.rng.below(2));
        self.cycle.wait = 2 * SECOND + self.rng.below(SECOND);
        self.cycle.started = now;
        self.cycle.acks = AckPhase::Stopping;
        self.model.start_round();
        self.enter(State::Down);
    }

    fn start_refill(&mut self) {
        self.model.reset_lower_bounds();
        (self.cycle.up_rounds, self.cycle.up_acks) = (0, 0);
        self.cycle.acks = AckPhase::Refilling;
        self.model.start_round();
        self.enter(State::Refill);
    }

    fn start_up(&mut self, ack: &AckInfo, rs: &RateSample) {
        self.cycle.acks = AckPhase::Starting;
        self.model.start_round();
        self.model.reset_full_bw(rs.rate);
        self.cycle.started = ack.now;
        self.enter(State::Up);
        self.raise_slope();
    }

    fn check_time_to_probe(&mut self, ack: &AckInfo) -> bool {
        let waited = ack.now.since(self.cycle.started) > self.cycle.wait;
        let packets = self.bdp(1.0).min(self.control.window) / self.datagram.max(1);
        let rounds = self.model.round.saturating_sub(self.cycle.probed_round);
        if self.coexistence.insists() {
            if rounds < INSISTENT_ROUNDS {
                return false;
            }
            self.start_refill();
            return true;
        }
        if !waited && rounds < packets.clamp(1, RENO_ROUNDS) {
            return false;
        }
        self.start_refill();
        true
    }

    fn is_time_to_cruise(&self, ack: &AckInfo) -> bool {
        if self.coexistence.insists() && ack.now.since(self.cycle.started) > ack.smoothed_rtt {
            return true;
        }
        let bound = self.inflight_with_headroom().unwrap_or(u64::MAX);
        ack.in_flight <= bound && ack.in_flight <= self.inflight(1.0)
    }

    /// The probe is over when the rate does not grow any more, unless the window's bound is what holds it.
    fn is_time_to_go_down(&mut self, ack: &AckInfo, rs: &RateSample) -> bool {
        if self.coexistence.insists() && !self.is_below_half() {
            return ack.now.since(self.cycle.started) > ack.smoothed_rtt;
        }
        let held = self
            .model
            .inflight_hi
            .is_some_and(|hi| self.control.window >= hi);
        if held && self.control.window_full {
            self.model.reset_full_bw(rs.rate);
            return false;
        }
        self.model.full_bw_now
    }

    /// BBRAdaptUpperBounds (with BBRAdaptLongTermModel).
    fn adapt_upper_bound(&mut self, ack: &AckInfo, rs: &RateSample) {
        if self.cycle.acks == AckPhase::Starting && self.model.round_start {
            self.cycle.acks = AckPhase::Feedback;
        }
        if self.cycle.acks == AckPhase::Stopping && self.model.round_start {
            self.cycle.samples = false;
            self.cycle.acks = AckPhase::Init;
            if self.state.is_probe_bw() && !rs.app_limited {
                self.model.max_bw.advance();
            }
        }
        if self.model.is_too_much(rs.lost, rs.tx_in_flight) {
            if self.cycle.samples {
                self.on_inflight_too_high(ack.now, rs.tx_in_flight, rs.app_limited);
            }
            return;
        }
        let Some(high) = self.model.inflight_hi else {
            return;
        };
        self.model.inflight_hi = Some(high.max(rs.tx_in_flight));
        if self.state == State::Up {
            self.probe_upward(ack);
        }
    }

    /// BBRHandleInflightTooHigh.
    pub(super) fn on_inflight_too_high(&mut self, now: Instant, in_flight: u64, app_limited: bool) {
        self.cycle.samples = false;
        if !app_limited {
            let target = self.bdp(1.0).min(self.control.window);
            self.model.inflight_hi = Some(in_flight.max((target as f64 * BETA) as u64));
        }
        if self.state == State::Up {
            self.go_down(now);
        }
    }

    /// BBRProbeInflightHiUpward: exponential growth of the bound while it is used.
    fn probe_upward(&mut self, ack: &AckInfo) {
        let Some(high) = self.model.inflight_hi else {
            return;
        };
        if !self.control.window_full || self.control.window < high {
            return;
        }
        self.cycle.up_acks += ack.acked;
        if self.cycle.up_acks >= self.cycle.up_bytes {
            let packets = self.cycle.up_acks / self.cycle.up_bytes;
            self.cycle.up_acks -= packets * self.cycle.up_bytes;
            self.model.inflight_hi = Some(high + packets * self.datagram);
        }
        if self.model.round_start {
            self.raise_slope();
        }
    }

    fn raise_slope(&mut self) {
        let growth = 1u64 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(30);
        self.cycle.up_bytes = (self.control.window / growth).max(self.datagram);
    }

    /// BBRInflightWithHeadroom; `None` is no bound.
    pub(super) fn inflight_with_headroom(&self) -> Option<u64> {
        let high = self.model.inflight_hi?;
        let headroom = ((high as f64 * HEADROOM) as u64).max(self.datagram);
        Some(high.saturating_sub(headroom).max(self.min_pipe()))
    }
}
