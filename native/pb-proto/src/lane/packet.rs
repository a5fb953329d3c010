//! Giving packets their numbers and entering them into every book.

use super::Lane;
use super::config::{PacketPlan, PlanBody};
use super::sent::{Fate, SentPacket, content};
use crate::time::Instant;
use crate::wire::header::{Header, Kind, OVERHEAD};

/// A packet number is left out after this many on average.
pub(super) const MEAN_SKIP: u64 = 500;
/// Packets between two cleanings of the ring, where no ACK does it.
const TRIM_EVERY: u64 = 256;

/// A packet of frames before it has a number.
pub(super) struct Frames {
    pub kind: Kind,
    pub frames: Vec<u8>,
    pub eliciting: bool,
    pub content: u8,
    /// The largest number acknowledged inside.
    pub ack: Option<u64>,
}

impl Frames {
    pub fn unawaited(kind: Kind, frames: Vec<u8>) -> Frames {
        Frames {
            kind,
            frames,
            eliciting: false,
            content: 0,
            ack: None,
        }
    }
}

impl Lane {
    pub(super) fn push_frames(&mut self, now: Instant, frames: Frames, out: &mut Vec<PacketPlan>) {
        let Frames {
            kind,
            frames,
            eliciting,
            mut content,
            ack,
        } = frames;
        let fate = if eliciting {
            Fate::Outstanding
        } else {
            Fate::Unawaited
        };
        let size = (frames.len() + OVERHEAD) as u16;
        let largest = ack.unwrap_or(0);
        if ack.is_some() {
            content |= content::ACK;
        }
        let (unit, offset) = (largest as u32, (largest >> 32) as u32);
        let packet = SentPacket {
            unit,
            offset,
            content,
            ..blank(now, size, fate)
        };
        let header = self.header(kind, frames.len() as u16);
        self.push(now, header, packet, PlanBody::Frames(frames), out);
    }

    /// Gives a packet the next number and enters it into every book.
    pub(super) fn push(
        &mut self,
        now: Instant,
        mut header: Header,
        mut packet: SentPacket,
        body: PlanBody,
        out: &mut Vec<PacketPlan>,
    ) {
        if self.sent.next_number() == self.skip_at {
            self.sent.skip(packet);
            self.skip_at = self.sent.next_number() + self.rng.between(1, 2 * MEAN_SKIP - 1);
        }
        header.packet_number = self.sent.next_number();
        let prior = self.sent.in_flight;
        let counted = packet.fate == Fate::Outstanding && packet.is_counted();
        self.rate.stamp(now, prior, &mut packet);
        packet.in_flight = prior + if counted { u64::from(packet.size) } else { 0 };
        self.sent.push(packet);
        if counted {
            self.timers.last_sent_eliciting = now;
            self.cc.on_sent(
                now,
                u64::from(packet.size),
                packet.in_flight,
                self.rate.is_app_limited(),
            );
        }
        self.counts.packets_sent += 1;
        self.counts.bytes_sent += u64::from(packet.size);
        self.handshake.on_sent(u64::from(packet.size));
        if header.packet_number.is_multiple_of(TRIM_EVERY) {
            self.forget_settled(now);
        }
        out.push(PacketPlan {
            header,
            body,
            size: packet.size,
        });
    }

    pub(super) fn header(&self, kind: Kind, payload_len: u16) -> Header {
        let handshaking = matches!(kind, Kind::Hello | Kind::HelloAck);
        Header {
            kind,
            key_phase: !handshaking && self.phase.number & 1 == 1,
            clear: false,
            lane: self.config.lane,
            payload_len,
            connection_id: self.config.connection_id,
            packet_number: 0,
            unit: 0,
            offset: 0,
            unit_len: 0,
        }
    }
}

pub(super) fn blank(now: Instant, size: u16, fate: Fate) -> SentPacket {
    SentPacket {
        sent_at: now,
        delivered: 0,
        delivered_at: now,
        first_sent_at: now,
        lost: 0,
        in_flight: 0,
        unit: 0,
        offset: 0,
        size,
        len: 0,
        fate,
        content: 0,
    }
}
