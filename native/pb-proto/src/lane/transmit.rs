//! Planning what leaves.

use super::config::{BASE_DATAGRAM, Feed, FeedNext, PacketPlan, PlanBody};
use super::outbox::Piece;
use super::sent::{Fate, SentPacket, content};
use super::{Lane, LimitedBy};
use crate::time::Instant;
use crate::wire::frame::{Frame, Hello};
use crate::wire::header::{Header, Kind, OVERHEAD};

/// A packet number is left out after this many on average.
pub(super) const MEAN_SKIP: u64 = 500;
/// Probes for the MTU that get no answer in this many probe timeouts are lost.
const MTU_PROBE_PTOS: u64 = 3;
/// A HELLO fills the base size, so that a path which cannot carry it shows at once.
const HELLO_SIZE: usize = BASE_DATAGRAM as usize;
/// A packet with one PATH_CHALLENGE.
const CHALLENGE_PACKET: u64 = OVERHEAD as u64 + 9;
/// Packets between two cleanings of the ring, where no ACK does it.
const TRIM_EVERY: u64 = 256;

impl Lane {
    /// Plans up to `max_packets` packets and `max_bytes` bytes that can leave now. DATA packets of one call are of
    /// equal size but the last, so they can leave as one GSO train; a packet with frames comes alone. Nothing planned
    /// means that nothing may leave before [`Lane::next_timeout`], a packet, or new units.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        feed: &mut dyn Feed,
        max_packets: usize,
        max_bytes: usize,
        out: &mut Vec<PacketPlan>,
    ) {
        self.timers.pacing = None;
        self.timers.feed = None;
        if self.control.is_closed() {
            return;
        }
        if self.plan_control(now, out) || self.control.is_closing() {
            return;
        }
        if self.handshake.is_up() && !self.plan_mtu_probe(now, out) {
            let limits = Limits {
                packets: max_packets,
                bytes: max_bytes as u64,
            };
            self.plan_data(now, feed, limits, out);
        }
    }

    fn plan_control(&mut self, now: Instant, out: &mut Vec<PacketPlan>) -> bool {
        let mut frames = Vec::new();
        if let Some((code, reason)) = self.control.poll_close(now) {
            Frame::Close {
                code,
                reason: &reason,
            }
            .encode(&mut frames);
            self.push_frames(now, Frames::unawaited(Kind::Control, frames), out);
            return true;
        }
        if self.control.is_closing() {
            return false;
        }
        if let Some(challenge) = self.handshake.poll_hello(now) {
            self.encode_hello(challenge, &mut frames);
            frames.resize(HELLO_SIZE - OVERHEAD, 0);
            self.push_frames(now, Frames::unawaited(Kind::Hello, frames), out);
            return true;
        }
        if self.is_muted() {
            return self.plan_within_allowance(now, out);
        }
        if let Some(response) = self.handshake.answer.take() {
            Frame::PathResponse(response).encode(&mut frames);
            self.encode_hello(self.handshake.own_challenge(), &mut frames);
            self.control.grant.told();
            self.push_frames(
                now,
                Frames {
                    kind: Kind::HelloAck,
                    frames,
                    eliciting: true,
                    content: content::HELLO_ACK,
                    ack: None,
                },
                out,
            );
            return true;
        }
        self.plan_frames(now, out)
    }

    /// The address has to prove itself before it gets more than a challenge.
    pub(super) fn is_muted(&self) -> bool {
        self.handshake.allowance() < u64::from(BASE_DATAGRAM)
    }

    /// Whether a challenge still fits what an unproven address may get.
    pub(super) fn may_challenge(&self) -> bool {
        self.handshake.allowance() >= CHALLENGE_PACKET
    }

    fn plan_within_allowance(&mut self, now: Instant, out: &mut Vec<PacketPlan>) -> bool {
        if !self.may_challenge() {
            return false;
        }
        let Some(data) = self.handshake.poll_challenge(now) else {
            return false;
        };
        let mut frames = Vec::new();
        Frame::PathChallenge(data).encode(&mut frames);
        self.push_frames(now, Frames::unawaited(Kind::Control, frames), out);
        true
    }

    /// A CONTROL packet with everything there is to say, when any of it is due.
    fn plan_frames(&mut self, now: Instant, out: &mut Vec<PacketPlan>) -> bool {
        self.check_drained();
        let challenge = self.handshake.poll_challenge(now);
        if challenge.is_none() && !self.is_control_due(now) {
            self.check_done(now);
            return false;
        }
        let mut frames = Vec::with_capacity(64);
        let ack = if self.rx.is_ack_owed() {
            self.rx.put_ack(now, &mut frames)
        } else {
            None
        };
        let ack_only = frames.len();
        challenge
            .into_iter()
            .for_each(|data| Frame::PathChallenge(data).encode(&mut frames));
        self.control
            .responses
            .drain(..)
            .for_each(|data| Frame::PathResponse(data).encode(&mut frames));
        let content = self.put_repaired(&mut frames);
        let wants_echo =
            self.rx.is_crowded() && now.since(self.timers.last_sent_eliciting) > self.rtt.smoothed;
        if std::mem::take(&mut self.control.ping) || (wants_echo && frames.len() == ack_only) {
            Frame::Ping.encode(&mut frames);
        }
        let eliciting = frames.len() > ack_only;
        self.push_frames(
            now,
            Frames {
                kind: Kind::Control,
                frames,
                eliciting,
                content,
                ack,
            },
            out,
        );
        true
    }

    fn is_control_due(&mut self, now: Instant) -> bool {
        self.control.ping
            || self.control.done.pending
            || !self.control.responses.is_empty()
            || self.rx.is_ack_due(now)
            || (self.handshake.is_up() && self.control.grant.is_due(now))
    }

    /// Writes the frames that are repeated when their packet is lost, and returns which they are.
    fn put_repaired(&mut self, frames: &mut Vec<u8>) -> u8 {
        let mut content = 0;
        if self.handshake.is_up() && self.control.grant.is_news() {
            Frame::Grant(self.control.grant.value()).encode(frames);
            self.control.grant.told();
            content |= content::GRANT;
        }
        if std::mem::take(&mut self.control.done.pending) {
            Frame::LaneDone.encode(frames);
            self.control.done.sent = true;
            content |= content::LANE_DONE;
        }
        content
    }

    /// LANE_DONE is due once everything that was pulled has arrived.
    fn check_drained(&mut self) {
        let done = &mut self.control.done;
        if self.control.finishing && !done.sent && self.outbox.is_empty() && self.handshake.is_up()
        {
            done.pending = true;
        }
    }

    fn encode_hello(&self, challenge: [u8; 8], frames: &mut Vec<u8>) {
        let hello = Hello {
            challenge,
            lanes: self.config.lanes,
            max_datagram: self.config.max_datagram_size,
            grant: self.control.grant.value(),
        };
        Frame::Hello(hello).encode(frames);
    }

    fn plan_mtu_probe(&mut self, now: Instant, out: &mut Vec<PacketPlan>) -> bool {
        if !self.handshake.is_validated() {
            return false;
        }
        let Some(size) = self.mtud.poll_probe(now, MTU_PROBE_PTOS * self.rtt.pto()) else {
            return false;
        };
        let mut frames = Vec::with_capacity(usize::from(size) - OVERHEAD);
        Frame::Ping.encode(&mut frames);
        frames.resize(usize::from(size) - OVERHEAD, 0);
        self.pacer.sent(u64::from(size));
        let content = content::MTU_PROBE;
        self.push_frames(
            now,
            Frames {
                kind: Kind::Control,
                frames,
                eliciting: true,
                content,
                ack: None,
            },
            out,
        );
        true
    }

    pub(super) fn mtu_probe_at(&self) -> Option<Instant> {
        let searching = self.handshake.is_up() && self.handshake.is_validated();
        searching.then(|| self.mtud.next_timeout()).flatten()
    }

    fn plan_data(
        &mut self,
        now: Instant,
        feed: &mut dyn Feed,
        limits: Limits,
        out: &mut Vec<PacketPlan>,
    ) {
        let Some(mut room) = self.room(now) else {
            return;
        };
        room = room.min(limits.bytes);
        let payload = self.mtud.payload();
        let full = u64::from(payload) + OVERHEAD as u64;
        let finishing = self.control.finishing;
        for _ in 0..limits.packets {
            if room < full {
                return;
            }
            let feed: Option<&mut dyn Feed> = if finishing { None } else { Some(&mut *feed) };
            match self.outbox.next_piece(payload, feed) {
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
            self.set_limited(now, LimitedBy::Pacing);
            self.timers.pacing = Some(self.pacer.ready_at(now));
            return None;
        }
        Some(window.min(budget.max(full)).min(self.handshake.allowance()))
    }

    /// There was room and nothing to send.
    fn on_starved(&mut self, now: Instant, why: FeedNext) {
        self.recovery.probes = 0;
        self.rate.on_app_limited(self.sent.in_flight);
        match why {
            FeedNext::NoCredit => self.set_limited(now, LimitedBy::Receiver),
            FeedNext::Limited { retry } => {
                self.timers.feed = Some(now.after(retry));
                self.set_limited(now, LimitedBy::Pacing);
            }
            FeedNext::Idle | FeedNext::Unit { .. } => self.set_limited(now, LimitedBy::Application),
        }
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
            self.counts.bytes_retransmitted += u64::from(piece.len);
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

    fn push_frames(&mut self, now: Instant, frames: Frames, out: &mut Vec<PacketPlan>) {
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
    fn push(
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

    fn header(&self, kind: Kind, payload_len: u16) -> Header {
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

/// A packet of frames before it has a number.
struct Frames {
    kind: Kind,
    frames: Vec<u8>,
    eliciting: bool,
    content: u8,
    /// The largest number acknowledged inside.
    ack: Option<u64>,
}

impl Frames {
    fn unawaited(kind: Kind, frames: Vec<u8>) -> Frames {
        Frames {
            kind,
            frames,
            eliciting: false,
            content: 0,
            ack: None,
        }
    }
}

struct Limits {
    packets: usize,
    bytes: u64,
}

fn blank(now: Instant, size: u16, fate: Fate) -> SentPacket {
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
