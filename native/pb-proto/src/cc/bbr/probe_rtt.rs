//! The path's smallest round trip, and the pauses in which it is looked for.

use super::super::{AckInfo, RateSample};
use super::{Bbr, State};
use crate::time::{Instant, MS, Nanos, SECOND};

/// How long a minimum is believed (MinRTTFilterLen) and how often one is looked for (ProbeRTTInterval).
const FILTER: Nanos = 10 * SECOND;
const INTERVAL: Nanos = 5 * SECOND;
/// A round trip that is longer than the shortest by at most this part of it was met by an empty queue: a pause would show
/// nothing new.
const EMPTY_PART: Nanos = 64;
/// How long little is in flight.
const DURATION: Nanos = 200 * MS;

#[derive(Debug)]
pub struct MinRtt {
    min: Option<Nanos>,
    at: Instant,
    /// The minimum of the last [`INTERVAL`].
    probe_min: Option<Nanos>,
    probe_at: Instant,
    expired: bool,
    done_at: Option<Instant>,
    round_done: bool,
}

impl MinRtt {
    pub fn new(now: Instant) -> MinRtt {
        MinRtt {
            min: None,
            at: now,
            probe_min: None,
            probe_at: now,
            expired: false,
            done_at: None,
            round_done: false,
        }
    }

    pub fn get(&self) -> Option<Nanos> {
        self.min
    }

    /// The handshake's round trip.
    pub fn start(&mut self, now: Instant, rtt: Nanos) {
        (self.min, self.at) = (Some(rtt), now);
        (self.probe_min, self.probe_at) = (Some(rtt), now);
    }

    /// BBRUpdateMinRTT.
    fn update(&mut self, now: Instant, rtt: Option<Nanos>) {
        self.expired = now.since(self.probe_at) > INTERVAL;
        if let Some(rtt) = rtt
            && (self.expired || self.probe_min.is_none_or(|min| rtt < min))
        {
            (self.probe_min, self.probe_at) = (Some(rtt), now);
        }
        let Some(probe_min) = self.probe_min else {
            return;
        };
        if rtt.is_some_and(|rtt| rtt <= probe_min.saturating_add(probe_min / EMPTY_PART)) {
            self.probe_at = now;
        }
        if now.since(self.at) > FILTER || self.min.is_none_or(|min| probe_min < min) {
            (self.min, self.at) = (Some(probe_min), self.probe_at);
        }
    }
}

impl Bbr {
    /// BBRUpdateMinRTT and BBRCheckProbeRTT.
    pub(super) fn check_probe_rtt(&mut self, ack: &AckInfo, rs: &RateSample) {
        self.min_rtt.update(ack.now, ack.rtt);
        let apart = matches!(self.state, State::ProbeRtt | State::Coexist);
        if !apart && self.min_rtt.expired && !self.idle_restart {
            self.begin_drain(ack.in_flight);
        }
        if self.state == State::ProbeRtt {
            self.sit_out(ack);
        }
        if rs.delivered > 0 {
            self.idle_restart = false;
        }
    }

    /// Little is in flight for a while: what remains of the queue is not ours.
    pub(super) fn begin_drain(&mut self, in_flight: u64) {
        self.note_drain(in_flight);
        self.enter(State::ProbeRtt);
        self.control.save();
        self.min_rtt.done_at = None;
        self.cycle.stop_probing();
        self.model.start_round();
    }

    fn sit_out(&mut self, ack: &AckInfo) {
        if self.min_rtt.done_at.is_some() {
            self.min_rtt.round_done |= self.model.round_start;
            if self.min_rtt.round_done {
                self.check_probe_rtt_done(ack.now);
            }
        } else if ack.in_flight <= self.probe_rtt_window() {
            self.min_rtt.done_at = Some(ack.now.after(DURATION));
            self.min_rtt.round_done = false;
            self.model.start_round();
        }
    }

    pub(super) fn check_probe_rtt_done(&mut self, now: Instant) {
        if self.min_rtt.done_at.is_none_or(|at| now <= at) {
            return;
        }
        self.min_rtt.probe_at = now;
        self.control.restore();
        self.model.reset_lower_bounds();
        self.learn_capacity_from_drain();
        if self.coexistence.cubic.is_some() {
            self.resume_after_drain(now);
        } else if self.model.full_bw_reached {
            self.resume_cruise(now);
        } else {
            self.enter(State::Startup);
        }
    }
}
