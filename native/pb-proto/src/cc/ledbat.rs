//! LEDBAT++ (draft-irtf-iccrg-ledbat-plus-plus-01), for what may wait: it leaves as soon as somebody else fills the
//! queue. It differs from the draft where a queue is shorter than the draft's target, and in how it comes back once
//! nobody queues any more: one packet a round trip would take minutes on a fast path.

use super::{AckInfo, Controller, LostPacket, Start, initial_window, rate_of};
use crate::time::{Instant, MS, Nanos, SECOND};

/// Queueing delay aimed at (section 4.1).
const TARGET: Nanos = 60 * MS;
/// ... and never less than twice what the peer holds an ACK of two packets back, which looks like a queue: a quarter of
/// the round trip within these bounds.
const LEAST_TARGET: [Nanos; 2] = [2 * MS, 10 * MS];
/// Largest divisor of the increase (section 4.2).
const MAX_DIVISOR: u64 = 16;
/// The first slow start ends at this part of the target, in quarters (section 4.3).
const EXIT_QUARTERS: Nanos = 3;
/// Below a quarter of the target for so many rounds nobody else queues.
const QUIET_ROUNDS: u32 = 3;
/// The window then grows by this part a round: a link is taken back within a hundred round trips, and what overshoots
/// is shorter than most queues.
const QUIET_GROWTH: f64 = 1.0 / 16.0;
/// A slowdown (section 4.4): this window for so many round trips, and the pause after it as a multiple of how long it
/// took.
const SLOW_PACKETS: u64 = 2;
const SLOW_RTTS: u64 = 2;
const PAUSE: u64 = 9;
/// The base delay is the smallest of the last one or two of these: ten minutes in all, as in LEDBAT (RFC 6817).
const BASE_SPAN: Nanos = 300 * SECOND;
const PACING_GAIN: (u64, u64) = (5, 4);
const INITIAL_RTT: Nanos = 100 * MS;

pub struct Ledbat {
    window: f64,
    ssthresh: f64,
    datagram: u64,
    rtt: Nanos,
    /// Smallest round trips: of the span before and of this one, which began then.
    base: [Nanos; 2],
    base_since: Instant,
    round_min: Nanos,
    round_end: u64,
    /// Queueing delay of the last round, of the newest packet, and the longest at a loss.
    delay: Nanos,
    latest: Nanos,
    deepest: Nanos,
    quiet: u32,
    recovery_start: Option<Instant>,
    slowdown: Slowdown,
}

/// The periodic slowdowns.
#[derive(Debug, Clone, Copy)]
enum Slowdown {
    /// The first slow start has not ended.
    Never,
    At(Instant),
    /// The window is small until then; when it began.
    Frozen(Instant, Instant),
    /// Growing back.
    Ramp(Instant),
}

impl Ledbat {
    pub fn new(start: Start) -> Ledbat {
        Ledbat {
            window: initial_window(start.datagram) as f64,
            ssthresh: f64::INFINITY,
            datagram: start.datagram,
            rtt: start.min_rtt.unwrap_or(INITIAL_RTT).max(1),
            base: [Nanos::MAX; 2],
            base_since: start.now,
            round_min: Nanos::MAX,
            round_end: 0,
            delay: 0,
            latest: 0,
            deepest: Nanos::MAX,
            quiet: 0,
            recovery_start: None,
            slowdown: Slowdown::Never,
        }
    }

    fn min_window(&self) -> f64 {
        (SLOW_PACKETS * self.datagram) as f64
    }

    fn base(&self) -> Nanos {
        self.base[0].min(self.base[1])
    }

    /// A quarter of a queue that is short: the draft's target lies beyond its end, and CUBIC dwells below half of it.
    fn target(&self) -> Nanos {
        TARGET.min(self.deepest / 4).max(self.least_target())
    }

    fn least_target(&self) -> Nanos {
        (self.base() / 4).clamp(LEAST_TARGET[0], LEAST_TARGET[1])
    }

    /// Section 4.2: slower on short paths, where one packet a round trip is much.
    fn gain(&self) -> f64 {
        let divisor = (2 * TARGET).div_ceil(self.base().max(1));
        1.0 / divisor.clamp(1, MAX_DIVISOR) as f64
    }

    fn take_rtt(&mut self, now: Instant, rtt: Nanos) {
        if now.since(self.base_since) > BASE_SPAN {
            (self.base, self.base_since) = ([self.base[1], Nanos::MAX], now);
        }
        self.base[1] = self.base[1].min(rtt);
        self.round_min = self.round_min.min(rtt);
        self.latest = rtt - self.base();
    }

    fn end_round(&mut self) {
        if self.round_min == Nanos::MAX {
            return;
        }
        self.delay = self.round_min - self.base();
        self.round_min = Nanos::MAX;
        let target = self.target();
        self.quiet = if self.delay < target / 4 {
            self.quiet + 1
        } else {
            0
        };
        if self.delay > target && self.window >= self.ssthresh {
            let over = (self.delay as f64 / target as f64 - 1.0).min(0.5);
            self.window = (self.window * (1.0 - over)).max(self.min_window());
            self.ssthresh = self.window;
        }
    }

    fn grow(&mut self, acked: u64) {
        let gained = acked as f64 * self.gain();
        if self.window < self.ssthresh {
            self.window += gained;
        } else if self.quiet >= QUIET_ROUNDS && self.latest < self.target() / 4 {
            self.window += acked as f64 * QUIET_GROWTH;
        } else if self.delay < self.target() {
            self.window += gained * self.datagram as f64 / self.window;
        }
    }

    /// Section 4.3: the first slow start ends before the target is reached.
    fn check_first_exit(&mut self, now: Instant) {
        let first = matches!(self.slowdown, Slowdown::Never);
        let queued = self.round_min.saturating_sub(self.base());
        if first && self.round_min != Nanos::MAX && queued > self.target() / 4 * EXIT_QUARTERS {
            self.end_first_slow_start(now);
        }
    }

    fn end_first_slow_start(&mut self, now: Instant) {
        self.ssthresh = self.window;
        self.slowdown = Slowdown::At(now.after(SLOW_RTTS * self.rtt));
    }

    fn pace_slowdowns(&mut self, now: Instant) {
        match self.slowdown {
            Slowdown::At(at) if now >= at => {
                self.ssthresh = self.window;
                self.window = self.min_window();
                self.slowdown = Slowdown::Frozen(now.after(SLOW_RTTS * self.rtt), now);
            }
            Slowdown::Frozen(until, began) if now >= until => {
                self.slowdown = Slowdown::Ramp(began);
            }
            Slowdown::Ramp(began) if self.window >= self.ssthresh => {
                self.slowdown = Slowdown::At(now.after(PAUSE * now.since(began)));
            }
            _ => {}
        }
    }

    fn halve(&mut self, now: Instant) {
        if matches!(self.slowdown, Slowdown::Never) {
            self.end_first_slow_start(now);
        }
        self.window = (self.window / 2.0).max(self.min_window());
        self.ssthresh = self.ssthresh.min(self.window);
        (self.recovery_start, self.quiet) = (Some(now), 0);
    }
}

impl Controller for Ledbat {
    fn on_sent(&mut self, _: Instant, _: u64, _: u64, _: bool) {}

    fn on_ack(&mut self, ack: &AckInfo) {
        self.rtt = ack.smoothed_rtt.max(1);
        if let Some(rtt) = ack.rtt {
            self.take_rtt(ack.now, rtt);
            self.check_first_exit(ack.now);
        }
        if ack.largest_acked >= self.round_end {
            self.round_end = ack.next_packet;
            self.end_round();
        }
        self.pace_slowdowns(ack.now);
        let frozen = matches!(self.slowdown, Slowdown::Frozen(..));
        if !frozen && !ack.app_limited && self.recovery_start != Some(ack.now) {
            self.grow(ack.acked);
        }
    }

    fn on_lost(&mut self, now: Instant, packet: &LostPacket) {
        let queued = self.latest.max(self.least_target());
        self.deepest = if self.deepest == Nanos::MAX {
            queued
        } else {
            self.deepest.max(queued)
        };
        if self
            .recovery_start
            .is_none_or(|start| packet.sent_at > start)
        {
            self.halve(now);
        }
    }

    fn on_ecn_ce(&mut self, now: Instant, _: u64, _: u64) {
        let again = |start: Instant| now.since(start) < self.rtt;
        if !self.recovery_start.is_some_and(again) {
            self.halve(now);
        }
    }

    fn on_persistent_congestion(&mut self, now: Instant) {
        self.window = self.min_window();
        self.recovery_start = Some(now);
    }

    fn set_datagram(&mut self, bytes: u64) {
        self.datagram = bytes;
        self.window = self.window.max(self.min_window());
    }

    fn window(&self) -> u64 {
        self.window as u64
    }

    fn pacing_rate(&self) -> u64 {
        rate_of(self.window as u64 * PACING_GAIN.0 / PACING_GAIN.1, self.rtt)
    }

    fn phase(&self) -> &'static str {
        match self.slowdown {
            Slowdown::Frozen(..) | Slowdown::Ramp(_) => "slowdown",
            _ if self.window < self.ssthresh => "slow_start",
            _ => "congestion_avoidance",
        }
    }
}
