//! Planning what leaves: what is to be said first, then probes for the MTU, then data (data.rs).

use super::Lane;
use super::config::{BASE_DATAGRAM, Feed, PacketPlan};
use super::data::Limits;
use super::packet::Frames;
use super::sent::content;
use crate::time::Instant;
use crate::wire::frame::{Frame, Hello};
use crate::wire::header::{Kind, OVERHEAD};

/// Probes for the MTU that get no answer in this many probe timeouts are lost.
const MTU_PROBE_PTOS: u64 = 3;
/// A HELLO fills the base size, so that a path which cannot carry it shows at once.
const HELLO_SIZE: usize = BASE_DATAGRAM as usize;
/// A packet with one PATH_CHALLENGE.
const CHALLENGE_PACKET: u64 = OVERHEAD as u64 + 9;

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
}
