//! CUBIC (RFC 9438), with HyStart++ in slow start. Windows are in bytes; K and W_cubic(t) in segments, as in the RFC.

use super::hystart::HyStart;
use super::{AckInfo, Controller, LostPacket, Start, bytes_in, initial_window, rate_of};
use crate::time::{Instant, MS, Nanos, SECOND};

/// Multiplicative decrease (section 4.6).
const BETA: f64 = 0.7;
/// Aggressiveness (section 4.1).
const C: f64 = 0.4;
/// Additive increase of the Reno-friendly region: 3 (1 - beta) / (1 + beta).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// Pacing above the window's rate, in slow start and after it (as Linux does).
const SLOW_START_GAIN: (u64, u64) = (2, 1);
const AVOIDANCE_GAIN: (u64, u64) = (5, 4);
/// Round trip assumed for pacing before the first is known.
const INITIAL_RTT: Nanos = 100 * MS;

/// What a reduction changes, kept to undo it when its losses were none.
#[derive(Debug, Clone)]
struct State {
    window: u64,
    ssthresh: u64,
    /// Window before the last reduction, segments.
    w_max: f64,
    /// Seconds from the start of the epoch until the window is at `w_max` again.
    k: f64,
    /// Estimate of Reno's window, segments.
    w_est: f64,
    epoch: Option<Instant>,
}

#[derive(Debug)]
pub struct Cubic {
    state: State,
    before: Option<State>,
    hystart: HyStart,
    datagram: u64,
    rtt: Nanos,
    /// Losses of packets sent before this are of the reduction that was made.
    recovery_start: Option<Instant>,
    /// CE marks for numbers below this are, too.
    ce_until: u64,
    /// Largest flight since the last ACK that was taken as full.
    peak_in_flight: u64,
    peak_until: u64,
    last_sent: Instant,
    start: Start,
    warm: bool,
}

impl Cubic {
    pub fn new(start: Start) -> Cubic {
        let window = initial_window(start.datagram);
        let rtt = start.min_rtt.unwrap_or(INITIAL_RTT);
        let state = State {
            window,
            ssthresh: u64::MAX,
            w_max: 0.0,
            k: 0.0,
            w_est: 0.0,
            epoch: None,
        };
        Cubic {
            state,
            before: None,
            hystart: HyStart::new(),
            datagram: start.datagram,
            rtt,
            recovery_start: None,
            ce_until: 0,
            peak_in_flight: 0,
            peak_until: 0,
            last_sent: start.now,
            start,
            warm: false,
        }
    }

    /// After the first loss with a window of `window` bytes; `balance` as in [`Cubic::reduce_towards`].
    pub(super) fn after_loss(now: Instant, window: u64, datagram: u64, balance: f64) -> Cubic {
        let mut cubic = Cubic::new(Start {
            now,
            datagram,
            min_rtt: None,
            rate: None,
            seed: 0,
        });
        cubic.state.window = window;
        cubic.reduce(now);
        cubic.lean(balance);
        cubic.before = None;
        cubic
    }

    /// Takes a loss; true when a reduction followed. `balance` below 1: it leaves this part of the window besides; above: as many
    /// times the window is what it grows back to.
    pub(super) fn reduce_towards(
        &mut self,
        now: Instant,
        packet: &LostPacket,
        balance: f64,
    ) -> bool {
        let before = self.state.window;
        self.on_lost(now, packet);
        if self.state.window >= before {
            return false;
        }
        self.lean(balance);
        true
    }

    fn lean(&mut self, balance: f64) {
        self.state.window =
            ((self.state.window as f64 * balance.min(1.0)) as u64).max(self.min_window());
        self.state.ssthresh = self.state.window;
        self.state.w_max *= balance;
    }

    /// The window is where it was before the last reduction, or would be if it had been used.
    pub(super) fn is_past_maximum(&self, now: Instant) -> bool {
        let epoch = self.state.epoch;
        epoch.is_some_and(|epoch| now.since(epoch) as f64 / SECOND as f64 > self.state.k)
    }

    /// Nanoseconds that a reduction of the present window would take to be made up for.
    pub(super) fn expected_epoch(&self) -> f64 {
        let given_up = self.segments(self.state.window) * (1.0 - BETA);
        let cubic = (given_up / C).cbrt() * SECOND as f64;
        cubic.min(given_up / ALPHA * self.rtt as f64)
    }

    fn min_window(&self) -> u64 {
        2 * self.datagram
    }

    fn segments(&self, bytes: u64) -> f64 {
        bytes as f64 / self.datagram as f64
    }

    fn in_slow_start(&self) -> bool {
        self.state.window < self.state.ssthresh
    }

    /// The window was used: growing one that is not says nothing about the path (section 5.8).
    fn is_used(&self) -> bool {
        let used = self.peak_in_flight + 2 * self.datagram;
        used >= self.state.window || (self.in_slow_start() && 2 * used >= self.state.window)
    }

    fn reduce(&mut self, now: Instant) {
        self.before = Some(self.state.clone());
        let flown = self.segments(self.state.window);
        // Fast convergence (section 4.7): leave room for a newcomer.
        self.state.w_max = if flown < self.state.w_max {
            flown * (1.0 + BETA) / 2.0
        } else {
            flown
        };
        self.state.window = ((self.state.window as f64 * BETA) as u64).max(self.min_window());
        self.state.ssthresh = self.state.window;
        self.state.epoch = None;
        self.recovery_start = Some(now);
    }

    fn avoid(&mut self, ack: &AckInfo) {
        let window = self.segments(self.state.window);
        let epoch = *self.state.epoch.get_or_insert_with(|| {
            self.state.w_est = window;
            self.state.w_max = self.state.w_max.max(window);
            self.state.k = ((self.state.w_max - window) / C).cbrt();
            ack.now
        });
        let acked = self.segments(ack.acked);
        let alpha = if self.state.w_est >= self.state.w_max {
            1.0
        } else {
            ALPHA
        };
        self.state.w_est += alpha * acked / window;
        let t = ack.now.since(epoch) as f64 / SECOND as f64;
        let rtt = self.rtt as f64 / SECOND as f64;
        let target = self.w_cubic(t + rtt).clamp(window, 1.5 * window);
        let next = if self.w_cubic(t) < self.state.w_est {
            self.state.w_est.max(window)
        } else {
            window + (target - window) * (acked / window).min(1.0)
        };
        self.state.window = (next * self.datagram as f64) as u64;
    }

    fn w_cubic(&self, t: f64) -> f64 {
        C * (t - self.state.k).powi(3) + self.state.w_max
    }
}

impl Controller for Cubic {
    /// Half of what the path carried before: a warm start must not flood a path that has changed.
    fn on_first_rtt(&mut self, _: Instant, rtt: Nanos) {
        if let Some(rate) = self.start.remembered(rtt) {
            self.warm = true;
            self.state.window = self.state.window.max(bytes_in(rate, rtt) / 2);
        }
    }

    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64, _app_limited: bool) {
        self.peak_in_flight = self.peak_in_flight.max(in_flight);
        if in_flight == bytes {
            self.after_idle(now);
        }
        self.last_sent = now;
    }

    fn on_ack(&mut self, ack: &AckInfo) {
        self.rtt = ack.smoothed_rtt.max(1);
        let used = self.is_used();
        if ack.largest_acked >= self.peak_until {
            (self.peak_in_flight, self.peak_until) = (ack.in_flight, ack.next_packet);
        }
        // What is acknowledged in the instant of a reduction was sent before it (RFC 9002 section 7.3.2).
        if self.recovery_start == Some(ack.now) {
            return;
        }
        let sent_after = self
            .recovery_start
            .is_none_or(|start| ack.now.since(start) >= self.rtt);
        if ack.acked == 0 || !used || (!sent_after && !self.in_slow_start()) {
            return;
        }
        if !self.in_slow_start() {
            return self.avoid(ack);
        }
        self.state.window += self.hystart.growth(ack.acked);
        if self
            .hystart
            .on_ack(ack.rtt, ack.largest_acked, ack.next_packet)
        {
            self.state.ssthresh = self.state.window;
        }
    }

    fn on_lost(&mut self, now: Instant, packet: &LostPacket) {
        if self
            .recovery_start
            .is_none_or(|start| packet.sent_at > start)
        {
            self.reduce(now);
        }
    }

    /// Section 4.9: takes the reduction back.
    fn on_spurious_loss(&mut self) {
        if let Some(before) = self.before.take().filter(|b| b.window > self.state.window) {
            self.state = before;
        }
    }

    fn on_ecn_ce(&mut self, now: Instant, largest_acked: u64, next_packet: u64) {
        if largest_acked >= self.ce_until {
            self.ce_until = next_packet;
            self.reduce(now);
            self.before = None;
        }
    }

    fn on_persistent_congestion(&mut self, now: Instant) {
        self.state.window = self.min_window();
        self.state.epoch = None;
        self.before = None;
        self.recovery_start = Some(now);
        self.hystart = HyStart::new();
    }

    fn set_datagram(&mut self, bytes: u64) {
        let ratio = self.datagram as f64 / bytes as f64;
        self.state.w_max *= ratio;
        self.state.w_est *= ratio;
        self.datagram = bytes;
        self.state.window = self.state.window.max(initial_window(bytes).min(4 * bytes));
    }

    fn window(&self) -> u64 {
        self.state.window
    }

    fn pacing_rate(&self) -> u64 {
        let (times, over) = if self.in_slow_start() {
            SLOW_START_GAIN
        } else {
            AVOIDANCE_GAIN
        };
        rate_of(self.state.window * times / over, self.rtt)
    }

    fn path_rate(&self) -> Option<u64> {
        (!self.in_slow_start()).then(|| rate_of(self.state.window, self.rtt))
    }

    fn is_warm(&self) -> bool {
        self.warm
    }

    fn phase(&self) -> &'static str {
        if self.in_slow_start() {
            "slow_start"
        } else {
            "congestion_avoidance"
        }
    }
}

impl Cubic {
    /// The epoch's clock does not run while nothing is sent (section 5.8): it would jump on the first ACK.
    fn after_idle(&mut self, now: Instant) {
        let idle = now.since(self.last_sent);
        if idle > self.rtt {
            self.state.epoch = self.state.epoch.map(|epoch| epoch.after(idle));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Nanos = 50 * MS;
    const DATAGRAM: u64 = 1000;

    struct Flow {
        cubic: Cubic,
        now: Instant,
        number: u64,
    }

    impl Flow {
        fn new() -> Flow {
            let now = Instant(SECOND);
            let start = Start {
                now,
                datagram: DATAGRAM,
                min_rtt: None,
                rate: None,
                seed: 0,
            };
            Flow {
                cubic: Cubic::new(start),
                now,
                number: 0,
            }
        }

        /// Sends `bytes` and has them acknowledged one round trip later.
        fn round(&mut self, bytes: u64) {
            for sent in 1..=bytes / DATAGRAM {
                self.cubic
                    .on_sent(self.now, DATAGRAM, sent * DATAGRAM, false);
            }
            self.now = self.now.after(RTT);
            self.number += 1000;
            self.cubic.on_ack(&AckInfo {
                now: self.now,
                acked: bytes,
                smoothed_rtt: RTT,
                rtt: Some(RTT),
                largest_acked: self.number,
                next_packet: self.number + 1,
                ..AckInfo::default()
            });
        }

        fn lose(&mut self) {
            let packet = LostPacket {
                sent_at: Instant(self.now.0 - 1),
                size: DATAGRAM,
                ..LostPacket::default()
            };
            self.cubic.on_lost(self.now, &packet);
        }

        fn grow_to(&mut self, window: u64) {
            while self.cubic.window() < window {
                self.round(self.cubic.window());
            }
        }
    }

    #[test]
    fn slow_start_doubles_a_used_window_only() {
        let mut flow = Flow::new();
        let start = flow.cubic.window();
        flow.round(start);
        assert_eq!(flow.cubic.window(), 2 * start);
        flow.round(2 * DATAGRAM);
        assert_eq!(flow.cubic.window(), 2 * start);
    }

    #[test]
    fn one_reduction_for_the_losses_of_one_round() {
        let mut flow = Flow::new();
        flow.grow_to(100_000);
        let before = flow.cubic.window();
        (0..20).for_each(|_| flow.lose());
        assert_eq!(flow.cubic.window(), (before as f64 * BETA) as u64);
    }

    #[test]
    fn a_reduction_for_nothing_is_taken_back() {
        let mut flow = Flow::new();
        flow.grow_to(100_000);
        let before = flow.cubic.window();
        flow.lose();
        flow.cubic.on_spurious_loss();
        assert_eq!(flow.cubic.window(), before);
        assert!(flow.cubic.in_slow_start());
    }

    #[test]
    fn the_old_maximum_is_reached_again_after_k_seconds() {
        let mut flow = Flow::new();
        flow.grow_to(800_000);
        let maximum = flow.cubic.window();
        flow.lose();
        let lost_at = flow.now;
        let k = (flow.cubic.segments(maximum) * (1.0 - BETA) / C).cbrt();
        flow.grow_to(maximum * 99 / 100);
        let took = flow.now.since(lost_at) as f64 / SECOND as f64;
        assert!((k * 0.6..k * 1.1).contains(&took), "{took} s of {k} s");
        let slow = flow.cubic.window();
        flow.round(slow);
        assert!(
            flow.cubic.window() - slow < 5 * DATAGRAM,
            "flat near the maximum"
        );
    }

    #[test]
    fn marks_reduce_once_a_round() {
        let mut flow = Flow::new();
        flow.grow_to(100_000);
        let before = flow.cubic.window();
        flow.cubic.on_ecn_ce(flow.now, 10, 50);
        flow.cubic.on_ecn_ce(flow.now, 49, 60);
        assert_eq!(flow.cubic.window(), (before as f64 * BETA) as u64);
        flow.cubic.on_ecn_ce(flow.now, 50, 60);
        assert!(flow.cubic.window() < (before as f64 * BETA) as u64);
    }

    #[test]
    fn persistent_congestion_leaves_two_packets() {
        let mut flow = Flow::new();
        flow.grow_to(100_000);
        flow.cubic.on_persistent_congestion(flow.now);
        assert_eq!(flow.cubic.window(), 2 * DATAGRAM);
    }
}
