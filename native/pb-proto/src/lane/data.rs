//! Planning data packets: what window, pacer and address allow, filled from the outbox and the feed.

use super::config::{Feed, FeedNext, PacketPlan, PlanBody};
use super::outbox::Piece;
use super::packet::blank;
use super::repairs::{Copies, EAGER_ROUNDS, LONG_RTT};
use super::sent::{Fate, SentPacket, content};
use super::{Lane, LimitedBy};
use crate::cc::bytes_in;
use crate::time::Instant;
use crate::wire::header::{Header, Kind, OVERHEAD};

/// What one call may plan.
pub(super) struct Limits {
    pub packets: usize,
    pub bytes: u64,
}

impl Lane {
    pub(super) fn plan_data(
        &mut self,
        now: Instant,
        feed: &mut dyn Feed,
        limits: Limits,
        out: &mut Vec<PacketPlan>,
    ) {
        let Some(mut room) = self.room(now) else {
            return;
        };
        let beyond = room.saturating_sub(limits.bytes);
        room -= beyond;
        let payload = self.mtud.payload();
        let full = u64::from(payload) + OVERHEAD as u64;
        let finishing = self.control.finishing;
        let copies = self.copies(now);
        for _ in 0..limits.packets {
            if room < full {
                break;
            }
            let feed: Option<&mut dyn Feed> = if finishing { None } else { Some(&mut *feed) };
            match self.outbox.next_piece(payload, copies, feed) {
                Ok(piece) => {
                    self.push_piece(now, &piece, out);
                    room -= u64::from(piece.len) + OVERHEAD as u64;
                    if piece.len < payload {
                        return;
                    }
                }
                Err(why) => return self.on_starved(now, why),
            }
        }
        if room + beyond >= full && !out.is_empty() {
            // More might leave: what takes time now is the driver's sealing and sending.
            self.set_limited(now, LimitedBy::Cpu);
        }
    }

    /// Whether what was sent again goes a second time: on a long path only, and before new data only where credit ran out lately.
    fn copies(&self, now: Instant) -> Copies {
        if self.rtt.min.is_none_or(|rtt| rtt < LONG_RTT) || self.recovery.probes > 0 {
            return Copies::Never;
        }
        match self.timers.eager_until {
            Some(until) if now < until => Copies::Eager,
            _ => Copies::Idle,
        }
    }

    /// Bytes that window, pacer and address allow now, at least one packet; `None` when they allow none.
    fn room(&mut self, now: Instant) -> Option<u64> {
        let full = u64::from(self.mtud.payload()) + OVERHEAD as u64;
        if self.recovery.probes > 0 {
            return Some(full * u64::from(self.recovery.probes)).filter(|_| !self.is_muted());
        }
        let mut window = self.cc.window().saturating_sub(self.sent.in_flight);
        if self.sent.in_flight == 0 {
            window = window.max(full);
        }
        if window < full {
            self.set_limited(now, LimitedBy::Congestion);
            return None;
        }
        let budget = self.pacer.budget(now);
        if budget == 0 {
            self.set_limited(now, self.paced_by());
            self.timers.pacing = Some(self.pacer.ready_at(now));
            return None;
        }
        Some(window.min(budget.max(full)).min(self.handshake.allowance()))
    }

    /// Who is to blame while the pacer holds data back. A controller paces at what it believes the path carries: that is
    /// the path, unless the last round trip had a lull and the path is not full since.
    fn paced_by(&self) -> LimitedBy {
        if self.cc.paces_to_target() {
            return LimitedBy::Pacing;
        }
        let carries = bytes_in(self.pacer.rate(), self.rtt.min.unwrap_or(0));
        if self.rate.is_app_limited() && self.sent.in_flight < carries * 3 / 4 {
            self.limited.lull
        } else {
            LimitedBy::Congestion
        }
    }

    /// There was room and nothing to send.
    fn on_starved(&mut self, now: Instant, why: FeedNext) {
        self.recovery.probes = 0;
        self.rate.on_app_limited(self.sent.in_flight);
        self.cc.on_starved();
        self.limited.lull = match why {
            FeedNext::NoCredit => {
                self.timers.eager_until = Some(now.after(EAGER_ROUNDS * self.rtt.smoothed));
                LimitedBy::Receiver
            }
            FeedNext::Limited { retry } => {
                self.timers.feed = Some(now.after(retry));
                LimitedBy::Pacing
            }
            FeedNext::Idle | FeedNext::Unit { .. } => LimitedBy::Application,
        };
        self.set_limited(now, self.limited.lull);
    }

    fn set_limited(&mut self, now: Instant, by: LimitedBy) {
        if self.limited.by != by {
            self.limited
                .times
                .add(self.limited.by, now.since(self.limited.since));
            (self.limited.by, self.limited.since) = (by, now);
        }
    }

    fn push_piece(&mut self, now: Instant, piece: &Piece, out: &mut Vec<PacketPlan>) {
        let size = (piece.len as usize + OVERHEAD) as u16;
        let packet = SentPacket {
            unit: piece.seq,
            offset: piece.offset,
            len: piece.len as u16,
            content: content::UNIT,
            ..blank(now, size, Fate::Outstanding)
        };
        if piece.again {
            let count = if self.recovery.probes > 0 {
                &mut self.counts.bytes_probed
            } else {
                &mut self.counts.bytes_retransmitted
            };
            *count += u64::from(piece.len);
        }
        self.recovery.probes = self.recovery.probes.saturating_sub(1);
        self.pacer.sent(u64::from(size));
        let header = Header {
            clear: !piece.sealed,
            unit: piece.id,
            offset: piece.offset,
            unit_len: piece.unit_len,
            ..self.header(Kind::Data, piece.len as u16)
        };
        self.push(now, header, packet, PlanBody::Unit, out);
    }
}
