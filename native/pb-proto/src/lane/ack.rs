//! Taking in an ACK frame.

use super::Lane;
use super::config::Event;
use super::sent::{Fate, SentPacket, content};
use crate::cc::AckInfo;
use crate::error::Violation;
use crate::time::{Instant, Nanos, US};
use crate::wire::frame::Ack;

/// Key phases end at half of what AES-GCM allows: 2^28 packets, 2^23 where packets are large.
const REKEY_SMALL: u64 = 1 << 27;
const REKEY_LARGE: u64 = 1 << 22;
/// Datagrams above this are large.
const LARGE: u16 = 2048;
/// Packets for which nobody waits are remembered over this many probe timeouts: a late ACK may still name them.
const REMEMBERED_PTOS: u64 = 4;

/// What one ACK frame settled.
#[derive(Default)]
struct Gained {
    bytes: u64,
    any: bool,
    eliciting: bool,
    newest: Option<(u64, SentPacket)>,
}

impl Lane {
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        ack: &Ack,
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        self.check_ack(ack)?;
        let prior_in_flight = self.sent.in_flight;
        let gained = self.settle_acked(now, ack, events);
        self.on_ack_counts(now, ack);
        if !gained.any {
            return Ok(());
        }
        if self.handshake.on_acked() {
            events.push(Event::PathValidated);
        }
        let rtt = self.take_rtt(now, ack, &gained);
        if gained.eliciting {
            self.recovery.largest_acked = self
                .recovery
                .largest_acked
                .max(gained.newest.map(|(n, _)| n));
        }
        let lost = self.detect_losses(now);
        if gained.eliciting {
            self.recovery.pto_count = 0;
            self.recovery.probes = 0;
        }
        let sample = self.rate.finish(self.rtt.min);
        let info = AckInfo {
            now,
            acked: gained.bytes,
            lost,
            prior_in_flight,
            in_flight: self.sent.in_flight,
            delivered: self.rate.delivered,
            total_lost: self.rate.lost,
            sample,
            rtt,
            smoothed_rtt: self.rtt.smoothed,
            largest_acked: ack.largest,
            next_packet: self.sent.next_number(),
            app_limited: sample.is_some_and(|s| s.app_limited),
        };
        if gained.bytes > 0 || lost > 0 {
            self.cc.on_ack(&info);
        }
        self.update_pacer(now);
        self.forget_settled(now);
        self.rotate_key(&gained, events);
        Ok(())
    }

    /// An ACK of a number that was never sent is an attempt to look faster than the path is.
    fn check_ack(&self, ack: &Ack) -> Result<(), Violation> {
        let unsent = ack
            .ranges()
            .find_map(|(low, high)| self.sent.unsent_in(low, high));
        unsent.map_or(Ok(()), |number| Err(Violation::AckOfUnsent(number)))
    }

    fn settle_acked(&mut self, now: Instant, ack: &Ack, events: &mut Vec<Event>) -> Gained {
        let mut fresh = std::mem::take(&mut self.recovery.scratch);
        fresh.clear();
        let base = self.sent.base();
        for (low, high) in ack.ranges().take_while(|&(_, high)| high >= base) {
            self.recovery
                .acked
                .insert_range(low.max(base), high, |a, b| fresh.push((a, b)));
        }
        let mut gained = Gained::default();
        for number in fresh.iter().flat_map(|&(a, b)| a..=b) {
            if let Some(packet) = self.sent.settle(number, Fate::Settled) {
                self.settle_one(now, number, &packet, &mut gained, events);
            }
        }
        self.recovery.scratch = fresh;
        gained
    }

    fn settle_one(
        &mut self,
        now: Instant,
        number: u64,
        packet: &SentPacket,
        gained: &mut Gained,
        events: &mut Vec<Event>,
    ) {
        if packet.fate == Fate::Settled {
            return;
        }
        gained.any = true;
        if let Some(largest) = packet.acked_in_it() {
            self.rx.on_ack_acked(largest);
        }
        if packet.fate == Fate::Unawaited {
            return;
        }
        gained.eliciting = true;
        if gained.newest.is_none_or(|(n, _)| number > n) {
            gained.newest = Some((number, *packet));
        }
        self.on_content_acked(now, packet, events);
        if !packet.is_counted() {
            return;
        }
        gained.bytes += u64::from(packet.size);
        self.rate.on_acked(now, packet);
        self.mtud.on_delivered(number, packet.size);
        if packet.fate == Fate::Lost {
            self.on_spurious(number);
        }
    }

    fn on_content_acked(&mut self, now: Instant, packet: &SentPacket, events: &mut Vec<Event>) {
        if packet.carries(content::UNIT) {
            let done = self
                .outbox
                .acked(packet.unit, packet.offset, u32::from(packet.len));
            events.extend(done.map(Event::UnitAcked));
        }
        if packet.carries(content::LANE_DONE) {
            self.control.done.acked = true;
            self.control.done.pending = false;
        }
        if packet.carries(content::MTU_PROBE) && self.mtud.on_probe_acked(now, packet.size) {
            self.datagram_changed(now);
        }
    }

    fn on_spurious(&mut self, number: u64) {
        self.counts.packets_spuriously_lost += 1;
        let largest = self.recovery.largest_acked.unwrap_or(number);
        if self
            .recovery
            .on_spurious(number, largest, self.sent.next_number())
        {
            self.cc.on_spurious_loss();
        }
    }

    /// A round trip, when the largest number of the ACK is among the newly acknowledged.
    fn take_rtt(&mut self, now: Instant, ack: &Ack, gained: &Gained) -> Option<Nanos> {
        let (_, newest) = gained.newest.filter(|(n, _)| *n == ack.largest)?;
        let sample = now.since(newest.sent_at);
        if self.rtt.min.is_none() {
            self.cc.on_first_rtt(now, sample);
        }
        self.rtt.update(sample, ack.delay_us.saturating_mul(US));
        Some(sample)
    }

    fn on_ack_counts(&mut self, now: Instant, ack: &Ack) {
        self.counts.peer_socket_drops = self.counts.peer_socket_drops.max(ack.socket_drops);
        if ack.ecn_ce > self.counts.peer_ecn_ce {
            self.counts.peer_ecn_ce = ack.ecn_ce;
            self.cc.on_ecn_ce(now, ack.largest, self.sent.next_number());
        }
    }

    pub(super) fn forget_settled(&mut self, now: Instant) {
        let horizon = Instant(now.0.saturating_sub(REMEMBERED_PTOS * self.rtt.pto()));
        self.sent.trim(horizon);
        self.recovery.acked.remove_below(self.sent.base());
    }

    /// Moves to the next key phase well before the AEAD's limit, and never twice before the newer one was heard of.
    fn rotate_key(&mut self, gained: &Gained, events: &mut Vec<Event>) {
        self.phase.confirmed |= gained.newest.is_some_and(|(n, _)| n >= self.phase.from);
        let limit = if self.mtud.size() > LARGE {
            REKEY_LARGE
        } else {
            REKEY_SMALL
        };
        let limit = self.config.rekey_after.unwrap_or(limit).min(limit);
        let next = self.sent.next_number();
        if self.phase.confirmed && next - self.phase.from >= limit {
            self.phase = super::Phase {
                number: self.phase.number + 1,
                from: next,
                confirmed: false,
            };
            events.push(Event::RotateSendKey {
                phase: self.phase.number,
            });
        }
    }
}
