//! BBRv3 (draft-ietf-ccwg-bbr-03): a model of the path's bandwidth, round trip and how much it holds without losing
//! more than 5 %, probed in turns. Names follow the draft.

mod coexist;
mod control;
mod filter;
mod floor;
mod jump;
mod model;
mod probe_bw;
mod probe_rtt;

use super::{
    AckInfo, Controller, LostPacket, RateSample, Start, initial_train, initial_window, rate_of,
};
use crate::rng::Rng;
use crate::time::{Instant, MS, Nanos};
use coexist::Coexistence;
use control::Control;
use floor::Floor;
use jump::{Jump, Step};
use model::Model;
use probe_bw::Cycle;
use probe_rtt::MinRtt;

/// 4 ln 2: doubles the delivery rate each round.
const STARTUP_GAIN: f64 = 2.773;
const DRAIN_GAIN: f64 = 0.5;
const DOWN_GAIN: f64 = 0.9;
const UP_GAIN: f64 = 1.25;
const CWND_GAIN: f64 = 2.0;
const UP_CWND_GAIN: f64 = 2.25;
const PROBE_RTT_GAIN: f64 = 0.5;
/// Loss in one round trip that is too much. The draft says 2 %; see docs/design/0003-congestion-control.md.
const LOSS_THRESH: f64 = 0.05;
/// What is kept of a bound that was too high.
const BETA: f64 = 0.7;
/// Left free for others while cruising.
const HEADROOM: f64 = 0.15;
/// Below the estimated rate, so that queues drain.
const PACING_MARGIN: f64 = 0.99;
/// Packets in flight that keep the ACK clock going.
const MIN_PIPE: u64 = 4;
/// Round trip assumed until one is known.
const NO_RTT: Nanos = MS;

/// Where in the probing the sender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
    /// The window is CUBIC's (coexist.rs).
    Coexist,
}

impl State {
    fn is_probe_bw(self) -> bool {
        matches!(
            self,
            State::Down | State::Cruise | State::Refill | State::Up
        )
    }

    /// More than the path is known to carry is being sent on purpose.
    fn is_probing(self) -> bool {
        matches!(self, State::Startup | State::Refill | State::Up)
    }

    fn pacing_gain(self) -> f64 {
        match self {
            State::Startup => STARTUP_GAIN,
            State::Drain => DRAIN_GAIN,
            State::Down => DOWN_GAIN,
            State::Up => UP_GAIN,
            State::Cruise | State::Refill | State::ProbeRtt | State::Coexist => 1.0,
        }
    }

    fn cwnd_gain(self) -> f64 {
        match self {
            State::Up => UP_CWND_GAIN,
            State::ProbeRtt => PROBE_RTT_GAIN,
            _ => CWND_GAIN,
        }
    }
}

/// The controller.
#[derive(Debug)]
pub struct Bbr {
    state: State,
    datagram: u64,
    model: Model,
    cycle: Cycle,
    min_rtt: MinRtt,
    floor: Floor,
    coexistence: Coexistence,
    /// The newest round trip shows a queue.
    queue_seen: bool,
    control: Control,
    jump: Jump,
    start: Start,
    rng: Rng,
    idle_restart: bool,
    /// When nothing had come through for long: what is acknowledged in that instant was sent before.
    collapsed_at: Option<Instant>,
}

impl Bbr {
    pub fn new(start: Start) -> Bbr {
        let window = initial_train(start.datagram);
        Bbr {
            state: State::Startup,
            datagram: start.datagram,
            model: Model::default(),
            cycle: Cycle::default(),
            min_rtt: MinRtt::new(start.now),
            floor: Floor::default(),
            coexistence: Coexistence::default(),
            queue_seen: false,
            control: Control::new(
                window,
                (rate_of(window, NO_RTT) as f64 * STARTUP_GAIN) as u64,
            ),
            jump: Jump::new(),
            start,
            rng: Rng::new(start.seed),
            idle_restart: false,
            collapsed_at: None,
        }
    }

    fn min_pipe(&self) -> u64 {
        MIN_PIPE * self.datagram
    }

    fn enter(&mut self, state: State) {
        self.state = state;
    }

    /// Startup ends when the rate stops growing, or when it loses too much (model.rs).
    fn check_startup_done(&mut self) {
        if self.state == State::Startup && self.model.full_bw_reached {
            self.enter(State::Drain);
        }
    }

    fn check_drain_done(&mut self, ack: &AckInfo) {
        if self.state == State::Drain && ack.in_flight <= self.inflight(1.0) {
            self.start_down(ack);
        }
    }

    fn update_model(&mut self, ack: &AckInfo, rs: &RateSample) {
        self.model.update_latest(ack, rs);
        self.update_coexistence(ack);
        let probing = self.state.is_probing();
        self.model
            .update_congestion(rs, probing, self.control.window);
        self.update_ack_aggregation(ack);
        self.model.check_full_bw(rs);
        self.check_startup_loss(rs);
        self.check_startup_done();
        self.check_drain_done(ack);
        self.update_cycle(ack, rs);
        self.check_probe_rtt(ack, rs);
        self.model.advance_latest(rs);
    }
}

impl Bbr {
    /// What the first trains have shown, see jump.rs.
    fn ride_jump(&mut self, ack: &AckInfo) {
        if self.state != State::Startup {
            return self.jump.stop();
        }
        let Some(rtt) = self.min_rtt.get() else {
            return;
        };
        let step = self.jump.on_ack(ack, rtt, self.datagram);
        if step.is_some() && !self.jump.is_warm() && ack.total_lost > ack.delivered {
            return self.start_small(rtt);
        }
        self.take(step);
    }

    /// Most of the first trains was lost to a queue that was full when they came: what came through of them tells no rate, and
    /// Startup finds it.
    fn start_small(&mut self, rtt: Nanos) {
        self.jump.stop();
        self.control.window = initial_window(self.datagram);
        self.control.pacing_rate = rate_of(self.control.window, rtt);
    }

    fn take(&mut self, step: Option<Step>) {
        match step {
            None => {}
            Some(Step::Train { window, rate }) => {
                self.control.window = window.max(self.min_pipe());
                self.control.pacing_rate = rate;
            }
            Some(Step::Landed { rate }) => {
                self.model.max_bw.update(rate);
                self.learn_capacity_from_landing(rate);
                self.model.full_bw_reached = true;
                self.model.settle();
                self.control.window = self.inflight(1.0);
                self.enter(State::Drain);
            }
        }
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64, app_limited: bool) {
        if in_flight == bytes && app_limited {
            self.restart_from_idle(now);
        }
        self.control.on_sent(in_flight, self.datagram);
        let full = in_flight + self.datagram > self.control.window;
        self.jump.on_sent(now, bytes, in_flight, full);
        if let Some(cubic) = &mut self.coexistence.cubic {
            cubic.on_sent(now, bytes, in_flight, app_limited);
        }
    }

    fn on_starved(&mut self) {
        self.jump.on_starved();
    }

    fn on_first_rtt(&mut self, now: Instant, rtt: Nanos) {
        self.min_rtt.start(now, rtt);
        let step = self.jump.begin(rtt, self.start.remembered(rtt));
        self.take(step);
    }

    fn on_ack(&mut self, ack: &AckInfo) {
        self.update_floor(ack);
        if let Some(rs) = ack.sample {
            self.update_model(ack, &rs);
        }
        self.ride_jump(ack);
        if self.follow_cubic(ack) {
            return;
        }
        self.set_pacing_rate();
        if self.collapsed_at != Some(ack.now) {
            self.set_window(ack);
        }
    }

    fn on_lost(&mut self, now: Instant, packet: &LostPacket) {
        self.model.note_loss(packet.number);
        if self.coexist_with_loss(now, packet) || !self.cycle.samples {
            return;
        }
        let lost = packet.lost_since;
        if !self.model.is_too_much(lost, packet.tx_in_flight) {
            return;
        }
        let inflight = model::inflight_at_loss(packet, self.model.loss_thresh);
        self.on_inflight_too_high(now, inflight, packet.app_limited);
    }

    fn on_spurious_loss(&mut self) {
        if let Some(cubic) = &mut self.coexistence.cubic {
            cubic.on_spurious_loss();
        }
    }

    fn on_ecn_ce(&mut self, now: Instant, largest_acked: u64, next_packet: u64) {
        self.model.note_mark(largest_acked);
        if let Some(cubic) = &mut self.coexistence.cubic {
            cubic.on_ecn_ce(now, largest_acked, next_packet);
        }
    }

    /// Nothing came through: start again from a small window. The model is kept, so it grows back within few rounds.
    fn on_persistent_congestion(&mut self, now: Instant) {
        self.collapsed_at = Some(now);
        self.jump.stop();
        self.control.window = self.min_pipe();
        if let Some(cubic) = &mut self.coexistence.cubic {
            cubic.on_persistent_congestion(now);
        }
    }

    fn set_datagram(&mut self, bytes: u64) {
        self.datagram = bytes;
        if let Some(cubic) = &mut self.coexistence.cubic {
            cubic.set_datagram(bytes);
        }
        self.control.window = self.control.window.max(self.min_pipe());
    }

    fn window(&self) -> u64 {
        self.control.window
    }

    fn pacing_rate(&self) -> u64 {
        self.control.pacing_rate
    }

    fn path_rate(&self) -> Option<u64> {
        Some(self.model.max_bw.get()).filter(|_| self.model.full_bw_reached)
    }

    fn is_warm(&self) -> bool {
        self.jump.is_warm()
    }

    fn phase(&self) -> &'static str {
        match self.state {
            State::Startup => "startup",
            State::Drain => "drain",
            State::Down => "probe_bw_down",
            State::Cruise => "probe_bw_cruise",
            State::Refill => "probe_bw_refill",
            State::Up => "probe_bw_up",
            State::ProbeRtt => "probe_rtt",
            State::Coexist => "coexistence",
        }
    }
}
