//! A fixed target rate for private links: paced at the rate, window of several round trips, blind to loss.

use super::{AckInfo, Controller, LostPacket, Start, bytes_in};
use crate::time::{Instant, MS, Nanos};

/// Window before the first round trip is known: this span at the target rate.
const UNKNOWN_RTT: Nanos = 100 * MS;
/// Floor of the span, so that ACKs held back and late threads do not stall a short path.
const MIN_SPAN: Nanos = 20 * MS;

pub struct Fixed {
    rate: u64,
    datagram: u64,
    /// Smoothed round trip, ns.
    rtt: Nanos,
}

impl Fixed {
    pub fn new(start: Start, rate: u64) -> Fixed {
        Fixed {
            rate: rate.max(1),
            datagram: start.datagram,
            rtt: start.min_rtt.unwrap_or(UNKNOWN_RTT),
        }
    }
}

impl Controller for Fixed {
    fn on_sent(&mut self, _: Instant, _: u64, _: u64, _: bool) {}

    fn on_ack(&mut self, ack: &AckInfo) {
        self.rtt = ack.smoothed_rtt;
    }

    fn on_lost(&mut self, _: Instant, _: &LostPacket) {}

    fn on_ecn_ce(&mut self, _: Instant, _: u64, _: u64) {}

    fn on_persistent_congestion(&mut self, _: Instant) {}

    fn set_datagram(&mut self, bytes: u64) {
        self.datagram = bytes;
    }

    /// Two round trips: one in flight, and one that waits behind a loss.
    fn window(&self) -> u64 {
        bytes_in(self.rate, (2 * self.rtt).max(MIN_SPAN)).max(4 * self.datagram)
    }

    fn pacing_rate(&self) -> u64 {
        self.rate
    }

    fn phase(&self) -> &'static str {
        "fixed_rate"
    }

    fn paces_to_target(&self) -> bool {
        true
    }
}
