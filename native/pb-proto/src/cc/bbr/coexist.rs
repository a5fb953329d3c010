//! Beside others. A queue that stands while this sender only cruises is somebody else's. When such a queue overflows,
//! the other fills whatever there is until it loses, as CUBIC does: the window is CUBIC's until the queue is gone. When
//! yielding does not help, because the other does not answer to loss, as BBR version 1 does not: neither do we, for a
//! time. Losses without a queue are nobody's (floor.rs).

use super::super::cubic::Cubic;
use super::super::{AckInfo, Controller, LostPacket, rate_of};
use super::{Bbr, State};
use crate::time::{Instant, MS, Nanos, SECOND};

/// A queue stands when the round trip is longer than the shortest by this part of it, and by this much.
const QUEUE_PART: Nanos = 8;
const QUEUE_FLOOR: Nanos = 2 * MS;
/// The shortest round trip is of the last one or two of these: a neighbour may hide it for long.
const BASE_SPAN: Nanos = 30 * SECOND;
/// Rounds of cruising with a queue after which it stands.
const STANDING_ROUNDS: u32 = 2;
/// Rounds without a queue after which the neighbour is gone.
const QUIET_ROUNDS: u32 = 3;
/// How often it is asked, by draining what is ours, whether the queue is.
const DRAIN_EVERY: Nanos = 10 * SECOND;
/// A reduction was for nothing when the next one is due before this part of the time that CUBIC takes to fill what was
/// given up.
const VAIN_PART: f64 = 0.5;
/// Who has more than half comes down to it sooner, one reduction leaves at least this part of the window besides CUBIC's own; who has
/// less grows towards as many times the window.
const LEAST_BALANCE: f64 = 0.6;
const MOST_BALANCE: f64 = 1.0 / LEAST_BALANCE;
const VAIN_REDUCTIONS: u32 = 2;
/// How long yielding is given up for, at first and at most.
/// Cruising so long without a queue is alone.
const CALM_SPAN: Nanos = SECOND;
const FIRST_INSISTENCE: Nanos = 10 * SECOND;
const LONGEST_INSISTENCE: Nanos = 60 * SECOND;
/// What is too much loss then.
pub const INSISTENT_THRESH: f64 = 0.3;
/// ... and what is, for one that has more than half of what the path is known to carry.
pub const SATED_THRESH: f64 = 0.12;
/// Rounds of a bandwidth estimate while the window is CUBIC's.
const ESTIMATE_ROUNDS: u64 = 10;

/// The shortest round trip of the last half or whole minute.
#[derive(Debug, Default)]
struct Base {
    before: Option<Nanos>,
    now: Option<Nanos>,
    since: Instant,
}

impl Base {
    fn update(&mut self, now: Instant, rtt: Nanos) {
        if now.since(self.since) > BASE_SPAN {
            (self.before, self.now, self.since) = (self.now, None, now);
        }
        self.now = Some(self.now.map_or(rtt, |min| min.min(rtt)));
    }

    fn get(&self) -> Option<Nanos> {
        self.before.into_iter().chain(self.now).min()
    }
}

/// What is known of the neighbours.
#[derive(Debug, Default)]
pub struct Coexistence {
    base: Base,
    round_min: Option<Nanos>,
    standing: u32,
    /// The window's owner while it is not BBR.
    pub cubic: Option<Cubic>,
    quiet: u32,
    rounds: u64,
    reduced_at: Instant,
    vain: u32,
    drained_at: Instant,
    /// The shortest round trip while drained.
    drained_min: Option<Nanos>,
    /// The bandwidth before the first of the reductions in vain.
    held_bw: u64,
    peak_bw: u64,
    calm_since: Option<Instant>,
    /// What the path carries when nobody else is there.
    alone: Option<u64>,
    /// What the path carries, for all together.
    capacity: Option<u64>,
    /// The base round trip at which a landing told it.
    landed_base: Option<Nanos>,
    /// Bytes in flight and the shortest round trip of the round before a drain.
    before_drain: Option<(u64, Nanos)>,
    last_min: Option<Nanos>,
    insisting_until: Option<Instant>,
    insistence: Nanos,
}

impl Coexistence {
    /// Loss is not answered to.
    pub fn insists(&self) -> bool {
        self.insisting_until.is_some()
    }
}

impl Bbr {
    /// Somebody's packets wait at the bottleneck.
    pub(super) fn is_queue_seen(&self, rtt: Nanos) -> bool {
        let base = self.coexistence.base.get().unwrap_or(rtt);
        rtt > base + (base / QUEUE_PART).max(QUEUE_FLOOR)
    }

    /// To be called with each ACK, before the model's states.
    pub(super) fn update_coexistence(&mut self, ack: &AckInfo) {
        if let Some(rtt) = ack.rtt {
            self.coexistence.base.update(ack.now, rtt);
            self.queue_seen = self.is_queue_seen(rtt);
            let min = self.coexistence.round_min.map_or(rtt, |min| min.min(rtt));
            self.coexistence.round_min = Some(min);
            if self.state == State::ProbeRtt {
                let min = self.coexistence.drained_min.map_or(rtt, |min| min.min(rtt));
                self.coexistence.drained_min = Some(min);
            }
        }
        self.coexistence.peak_bw = self.coexistence.peak_bw.max(self.model.max_bw.get());
        if self.model.round_start {
            self.end_coexistence_round(ack);
        }
    }

    fn end_coexistence_round(&mut self, ack: &AckInfo) {
        let Some(min) = self.coexistence.round_min.take() else {
            return;
        };
        let queue = self.is_queue_seen(min);
        self.doubt_landing();
        let c = &mut self.coexistence;
        c.last_min = Some(min);
        c.rounds += 1;
        if self.coexistence.insists() {
            self.set_loss_thresh();
        }
        let c = &mut self.coexistence;
        match self.state {
            State::Cruise => {
                c.standing = if queue { c.standing + 1 } else { 0 };
                if queue {
                    c.calm_since = None;
                } else if ack.now.since(*c.calm_since.get_or_insert(ack.now)) > CALM_SPAN {
                    c.alone = Some(self.model.max_bw.get());
                    c.capacity = c.alone;
                    c.landed_base = None;
                }
            }
            State::Coexist => {
                c.quiet = if queue { 0 } else { c.quiet + 1 };
                self.check_neighbour(ack);
            }
            _ => {}
        }
        let over = |until: Instant| ack.now >= until;
        if self.coexistence.insisting_until.is_some_and(over) {
            self.coexistence.insisting_until = None;
            self.set_loss_thresh();
            if self.state.is_probe_bw() && queue {
                self.yield_to(ack.now, ack.in_flight);
            }
        }
    }

    fn check_neighbour(&mut self, ack: &AckInfo) {
        let c = &mut self.coexistence;
        if c.rounds.is_multiple_of(ESTIMATE_ROUNDS) {
            self.model.max_bw.advance();
        }
        let risen = c
            .cubic
            .as_ref()
            .is_none_or(|cubic| cubic.is_past_maximum(ack.now));
        if c.quiet >= QUIET_ROUNDS && risen {
            return self.leave_coexistence(ack.now);
        }
        if ack.now.since(c.drained_at) > DRAIN_EVERY {
            c.drained_at = ack.now;
            self.begin_drain(ack.in_flight);
        }
    }

    /// The first flight filled the path: alone, unless its queue was there before.
    pub(super) fn learn_capacity_from_landing(&mut self, rate: u64) {
        let c = &mut self.coexistence;
        (c.capacity, c.landed_base) = (Some(rate), c.base.get());
    }

    /// A round trip that falls shows that others' packets were waiting when the flight landed: it had their leavings.
    fn doubt_landing(&mut self) {
        if self
            .coexistence
            .landed_base
            .is_some_and(|base| self.is_queue_seen(base))
        {
            (self.coexistence.capacity, self.coexistence.landed_base) = (None, None);
        }
    }

    pub(super) fn note_drain(&mut self, in_flight: u64) {
        let c = &mut self.coexistence;
        c.before_drain = c.last_min.map(|rtt| (in_flight, rtt));
        c.drained_min = None;
    }

    /// What was taken out of a queue that stays has shortened the round trip by the time that the path takes for it.
    pub(super) fn learn_capacity_from_drain(&mut self) {
        let c = &self.coexistence;
        let (Some((in_flight, before)), Some(after)) = (c.before_drain, c.drained_min) else {
            return;
        };
        let taken = in_flight.saturating_sub(self.probe_rtt_window());
        let shorter = before.saturating_sub(after);
        if shorter > QUEUE_FLOOR && taken > in_flight / 4 && self.is_queue_seen(after) {
            self.coexistence.capacity = Some(rate_of(taken, shorter));
            self.coexistence.landed_base = None;
        }
    }

    /// Less than half of the most that the path has carried.
    pub(super) fn is_below_half(&self) -> bool {
        self.model.max_bw.get() < self.coexistence.peak_bw / 2
    }

    /// More than half of what the path is known to carry alone.
    pub(super) fn is_above_half(&self) -> bool {
        let half = self.coexistence.alone.map(|c| c / 2);
        half.is_some_and(|half| self.model.max_bw.get() > half)
    }

    /// Half of what the path carries, by what is ours.
    fn balance(&self) -> f64 {
        let half = self.coexistence.capacity.unwrap_or(0) as f64 / 2.0;
        if half == 0.0 {
            return 1.0;
        }
        (half / self.model.max_bw.get().max(1) as f64).clamp(LEAST_BALANCE, MOST_BALANCE)
    }

    /// A packet was lost. True when that is all that follows from it.
    pub(super) fn coexist_with_loss(&mut self, now: Instant, packet: &LostPacket) -> bool {
        if self.coexistence.cubic.is_some() {
            if self.queue_seen {
                self.reduce_cubic(now, packet);
            }
            return true;
        }
        let c = &self.coexistence;
        let stands = c.standing >= STANDING_ROUNDS && self.queue_seen;
        if !stands || !self.state.is_probe_bw() || c.insists() {
            return false;
        }
        self.yield_to(now, packet.tx_in_flight);
        true
    }

    fn reduce_cubic(&mut self, now: Instant, packet: &LostPacket) {
        let balance = self.balance();
        let c = &mut self.coexistence;
        let Some(cubic) = &mut c.cubic else {
            return;
        };
        let expected = cubic.expected_epoch();
        if !cubic.reduce_towards(now, packet, balance) {
            return;
        }
        let vain = (now.since(c.reduced_at) as f64) < expected * VAIN_PART;
        c.vain = if vain { c.vain + 1 } else { 0 };
        c.reduced_at = now;
        if c.vain == 0 {
            c.insistence = 0;
        }
        if c.vain >= VAIN_REDUCTIONS {
            self.insist(now);
        }
    }

    /// The window becomes CUBIC's, which has just lost.
    fn yield_to(&mut self, now: Instant, in_flight: u64) {
        let in_flight = in_flight.min(self.control.window);
        let (window, balance) = (in_flight.max(self.min_pipe()), self.balance());
        let c = &mut self.coexistence;
        c.cubic = Some(Cubic::after_loss(now, window, self.datagram, balance));
        (c.vain, c.quiet, c.standing) = (0, 0, 0);
        (c.reduced_at, c.drained_at) = (now, now);
        c.held_bw = self.model.max_bw.get();
        self.cycle.samples = false;
        self.model.inflight_hi = None;
        self.model.reset_lower_bounds();
        self.enter(State::Coexist);
    }

    /// Yielding was in vain.
    fn insist(&mut self, now: Instant) {
        let c = &mut self.coexistence;
        c.cubic = None;
        // What it is that does not answer was there, too, when more than this was known.
        (c.capacity, c.landed_base) = (c.alone, None);
        c.insistence = (2 * c.insistence).clamp(FIRST_INSISTENCE, LONGEST_INSISTENCE);
        c.insisting_until = Some(now.after(c.insistence));
        let bw = c
            .held_bw
            .min(2 * self.model.max_bw.get())
            .min(c.peak_bw / 2);
        self.model.max_bw.update(bw);
        self.set_loss_thresh();
        self.resume_cruise(now);
    }

    fn leave_coexistence(&mut self, now: Instant) {
        self.coexistence.cubic = None;
        self.coexistence.standing = 0;
        self.resume_cruise(now);
    }

    /// After a drain: the queue was ours, or it is still there.
    pub(super) fn resume_after_drain(&mut self, now: Instant) {
        let rtt = self.coexistence.drained_min.unwrap_or(Nanos::MAX);
        if self.is_queue_seen(rtt) {
            self.enter(State::Coexist);
        } else {
            self.leave_coexistence(now);
        }
    }

    /// The window and the rate, while they are CUBIC's.
    pub(super) fn follow_cubic(&mut self, ack: &AckInfo) -> bool {
        let Some(cubic) = &mut self.coexistence.cubic else {
            return false;
        };
        cubic.on_ack(ack);
        self.control.pacing_rate = cubic.pacing_rate();
        self.control.window = cubic.window().max(super::MIN_PIPE * self.datagram);
        if self.state == State::ProbeRtt {
            self.control.window = self.control.window.min(self.probe_rtt_window());
        }
        true
    }
}
