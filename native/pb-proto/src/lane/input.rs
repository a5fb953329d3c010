//! Taking in packets.

use super::Lane;
use super::config::Event;
use crate::error::{Violation, close};
use crate::time::Instant;
use crate::wire::frame::{Frame, Frames, Hello};
use crate::wire::header::{Header, Kind, OVERHEAD};

impl Lane {
    /// Takes a packet whose tag was right. `frames` is the opened payload of CONTROL, HELLO and HELLO_ACK, empty for
    /// DATA; `datagram` the bytes on the wire. A violation means: [`Lane::close`] with [`close::PROTOCOL`].
    pub fn on_packet(
        &mut self,
        now: Instant,
        header: &Header,
        datagram: usize,
        ecn_ce: bool,
        frames: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        if self.control.is_closed() || !self.would_accept(header.packet_number) {
            return Ok(());
        }
        self.rx
            .on_packet(now, header.packet_number, datagram, ecn_ce);
        self.timers.last_received = now;
        self.handshake.on_received(datagram as u64);
        match header.kind {
            Kind::Data => self.on_data(now, header, datagram),
            Kind::Control => self.on_frames(now, header.packet_number, frames, events),
            Kind::Hello => self.on_hello(now, frames, events),
            Kind::HelloAck => self.on_hello_ack(now, frames, events),
        }
    }

    fn on_data(&mut self, now: Instant, header: &Header, datagram: usize) -> Result<(), Violation> {
        header.check_data(datagram.saturating_sub(OVERHEAD) as u32)?;
        if self
            .control
            .done
            .received
            .is_some_and(|done| header.packet_number > done)
        {
            return Err(Violation::DataAfterDone);
        }
        self.rx.data_bytes += datagram as u64;
        self.rx.on_eliciting(now, self.rtt.min);
        Ok(())
    }

    fn on_hello(
        &mut self,
        now: Instant,
        frames: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        if self.handshake.is_client() {
            return Err(Violation::Handshake);
        }
        let hello = find_hello(frames)?.ok_or(Violation::Handshake)?;
        self.rx.on_eliciting(now, self.rtt.min);
        if self.handshake.on_hello(&hello) {
            self.on_peer_hello(&hello, events);
        }
        Ok(())
    }

    fn on_hello_ack(
        &mut self,
        now: Instant,
        frames: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        if !self.handshake.is_client() {
            return Err(Violation::Handshake);
        }
        self.rx.on_eliciting(now, self.rtt.min);
        self.rx.ack_at_once();
        let hello = find_hello(frames)?.ok_or(Violation::Handshake)?;
        for frame in Frames::new(frames) {
            match frame? {
                Frame::PathResponse(data) => {
                    if let Some(rtt) = self.handshake.on_hello_ack(now, data) {
                        self.rtt.update(rtt, 0);
                        self.cc.on_first_rtt(now, rtt);
                        self.on_peer_hello(&hello, events);
                        self.update_pacer(now);
                    }
                }
                Frame::Ack(ack) => self.on_ack(now, &ack, events)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn on_peer_hello(&mut self, hello: &Hello, events: &mut Vec<Event>) {
        self.mtud.limit(hello.max_datagram);
        self.cc.set_datagram(u64::from(self.mtud.size()));
        events.push(Event::PeerHello {
            lanes: hello.lanes,
            max_datagram: hello.max_datagram,
        });
        events.push(Event::PeerGrant(self.control.peer_grant(hello.grant)));
        events.push(Event::HandshakeDone);
    }

    fn on_frames(
        &mut self,
        now: Instant,
        number: u64,
        frames: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        let mut eliciting = false;
        for frame in Frames::new(frames) {
            let frame = frame?;
            eliciting |= frame.is_ack_eliciting();
            self.on_frame(now, number, frame, events)?;
        }
        if eliciting {
            self.rx.on_eliciting(now, self.rtt.min);
        }
        Ok(())
    }

    fn on_frame(
        &mut self,
        now: Instant,
        number: u64,
        frame: Frame,
        events: &mut Vec<Event>,
    ) -> Result<(), Violation> {
        match frame {
            Frame::Padding | Frame::Ping => {}
            Frame::Ack(ack) => self.on_ack(now, &ack, events)?,
            Frame::Grant(bytes) => events.push(Event::PeerGrant(self.control.peer_grant(bytes))),
            Frame::PathChallenge(data) => self.control.respond(data),
            Frame::PathResponse(data) => {
                if self.handshake.on_response(data) {
                    events.push(Event::PathValidated);
                }
            }
            Frame::Close { code, reason } => {
                self.control.vanish();
                events.push(Event::Closed {
                    code,
                    reason: reason.to_owned(),
                });
            }
            Frame::Hello(_) => return Err(Violation::UnexpectedHello),
            Frame::LaneDone => self.on_lane_done(number, events),
        }
        Ok(())
    }

    fn on_lane_done(&mut self, number: u64, events: &mut Vec<Event>) {
        self.rx.ack_at_once();
        match &mut self.control.done.received {
            Some(first) => *first = number.min(*first),
            unheard => {
                *unheard = Some(number);
                events.push(Event::LaneDone);
            }
        }
    }

    /// Ends without a word to the peer, which is not there.
    pub(super) fn die(&mut self, code: u64, events: &mut Vec<Event>) {
        let reason = if code == close::HANDSHAKE {
            "no answer to HELLO"
        } else {
            "nothing heard from the peer"
        };
        self.control.vanish();
        events.push(Event::Closed {
            code,
            reason: reason.to_owned(),
        });
    }
}

fn find_hello(frames: &[u8]) -> Result<Option<Hello>, Violation> {
    let mut found = None;
    for frame in Frames::new(frames) {
        if let Frame::Hello(hello) = frame? {
            found = Some(hello);
        }
    }
    Ok(found)
}
