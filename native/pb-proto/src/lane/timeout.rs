//! What time alone does.

use super::Lane;
use super::config::Event;
use crate::cc::AckInfo;
use crate::error::close;
use crate::time::{Instant, Nanos, SECOND};

/// Without traffic for so long a PING keeps address bindings alive.
const KEEPALIVE: Nanos = 5 * SECOND;
/// Probe timeouts that a finished lane stays to answer a peer that has not heard.
const LINGER_PTOS: u64 = 3;

impl Lane {
    /// To be called when [`Lane::next_timeout`] has passed; calls in between do no harm.
    pub fn on_timeout(&mut self, now: Instant, events: &mut Vec<Event>) {
        if self.control.is_closed() || self.control.is_closing() {
            return;
        }
        if self.handshake.is_timed_out(now) {
            return self.die(close::HANDSHAKE, events);
        }
        if now >= self.idle_at() {
            return self.die(close::IDLE, events);
        }
        if self.handshake.abandon(now) {
            events.push(Event::PathAbandoned);
        }
        if self.control.linger_until.is_some_and(|at| at <= now) {
            return self.control.vanish();
        }
        if self.recovery.loss_at.is_some_and(|at| at <= now) {
            self.on_loss_timeout(now);
        }
        if self.probe_timeout_at().is_some_and(|at| at <= now) {
            self.on_probe_timeout(now);
        }
        if now >= self.keepalive_at() && !self.is_muted() {
            self.control.ping = true;
        }
    }

    fn on_loss_timeout(&mut self, now: Instant) {
        let prior_in_flight = self.sent.in_flight;
        let lost = self.detect_losses(now);
        if lost == 0 {
            return;
        }
        self.cc.on_ack(&AckInfo {
            now,
            lost,
            prior_in_flight,
            in_flight: self.sent.in_flight,
            delivered: self.rate.delivered,
            total_lost: self.rate.lost,
            smoothed_rtt: self.rtt.smoothed,
            largest_acked: self.recovery.largest_acked.unwrap_or(0),
            next_packet: self.sent.next_number(),
            ..AckInfo::default()
        });
        self.update_pacer(now);
    }

    /// When [`Lane::on_timeout`] and [`Lane::poll_transmit`] have to be called next; a time that has passed means now.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.control.is_closed() {
            return None;
        }
        if let Some(at) = self.control.next_close() {
            return Some(at);
        }
        let speaking = if self.is_muted() {
            [None; 5]
        } else {
            self.speaking_timers()
        };
        let waiting = [
            self.handshake.next_timeout(self.may_challenge()),
            self.recovery.loss_at,
            self.probe_timeout_at(),
            self.control.linger_until,
            (self.handshake.is_up() && !self.is_muted()).then(|| self.keepalive_at()),
            Some(self.idle_at()),
        ];
        speaking.into_iter().chain(waiting).flatten().min()
    }

    /// Timers at which something is sent.
    fn speaking_timers(&self) -> [Option<Instant>; 5] {
        let grant = self.control.grant.next_timeout();
        [
            self.rx.ack_deadline(),
            grant,
            self.timers.pacing,
            self.timers.feed,
            self.mtu_probe_at(),
        ]
    }

    fn idle_at(&self) -> Instant {
        self.timers.last_received.after(self.config.idle_timeout)
    }

    fn keepalive_at(&self) -> Instant {
        self.timers
            .last_received
            .max(self.timers.last_sent_eliciting)
            .after(KEEPALIVE)
    }

    /// Both sides are done: the lane stays a little, then is closed.
    pub(super) fn check_done(&mut self, now: Instant) {
        let done = &self.control.done;
        if done.acked
            && done.received.is_some()
            && self.control.linger_until.is_none()
            && !self.rx.is_ack_owed()
        {
            self.control.linger_until = Some(now.after(LINGER_PTOS * self.rtt.pto()));
        }
    }
}
