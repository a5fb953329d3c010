//! What a lane does with a datagram: header, replay window, place, tag, and only then any change of state.

use std::sync::Arc;

use pb_proto::error::Violation;
use pb_proto::lane::{Event, Lane};
use pb_proto::time::{Instant, MS, Nanos};
use pb_proto::wire::header::{HEADER, Header, Kind, TAG};

use crate::copies::Step;
use crate::transport::crypto::{OpenKeys, SealKeys, Sealed};
use crate::transport::fault::Fault;
use crate::transport::placing::{Landed, Placer, Range, Refused};
use crate::transport::session::Session;
use crate::transport::sys::udp::Batch;

/// Wrong tags under one lane's keys after which the session is closed (`docs/PROTOCOL.md` section 1).
const FORGERIES: u64 = 1 << 36;
/// Probe timeouts that the key before the present one is kept for late packets.
const KEEP_KEY_PTOS: Nanos = 3;
/// A probe timeout with nothing measured (RFC 9002 section 6.2.2).
const FIRST_PTO: Nanos = 1_000 * MS;

/// State machine, keys and places of one lane: everything but the socket.
pub(super) struct Core {
    pub session: Session,
    pub lane_id: u8,
    pub lane: Lane,
    pub seal: SealKeys,
    pub events: Vec<Event>,
    open: OpenKeys,
    old_key_until: Option<Instant>,
    placer: Placer,
    frames: Vec<u8>,
    forged: u64,
    /// A packet other than HELLO and HELLO_ACK was authenticated.
    pub in_use: bool,
}

/// A datagram of ours, decoded and not authenticated.
struct Packet<'a> {
    header: Header,
    aad: [u8; HEADER],
    payload: &'a [u8],
    tag: &'a [u8],
    /// Payload and tag.
    sealed: &'a [u8],
}

impl<'a> Packet<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Packet<'a>> {
        let header = Header::decode_datagram(bytes).ok()?;
        let (head, sealed) = bytes.split_first_chunk::<HEADER>()?;
        let (payload, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        Some(Packet {
            header,
            aad: Header::aad(head),
            payload,
            tag,
            sealed,
        })
    }

    fn sealed(&self, bytes: &'a [u8]) -> Sealed<'_> {
        Sealed {
            number: self.header.packet_number,
            phase_bit: self.header.key_phase,
            aad: &self.aad,
            bytes,
        }
    }

    fn range(&self) -> Result<Range, Violation> {
        let (h, len) = (&self.header, self.payload.len() as u32);
        h.check_data(len)?;
        Ok(Range {
            unit: h.unit,
            unit_len: h.unit_len,
            offset: h.offset,
            len,
        })
    }
}

impl Core {
    pub(super) fn new(
        session: Session,
        lane_id: u8,
        lane: Lane,
        seal: SealKeys,
        open: OpenKeys,
    ) -> Core {
        Core {
            session,
            lane_id,
            lane,
            seal,
            events: Vec::new(),
            open,
            old_key_until: None,
            placer: Placer::default(),
            frames: Vec::new(),
            forged: 0,
            in_use: false,
        }
    }

    /// Takes everything that one receive call brought.
    pub(super) fn batch(&mut self, now: Instant, batch: &Batch) -> Result<(), Fault> {
        for (bytes, meta) in batch.messages() {
            if let Some(drops) = meta.drops {
                self.lane.socket_drops(drops);
            }
            for datagram in bytes.chunks(meta.segment) {
                self.datagram(now, datagram, meta.ce)?;
            }
        }
        let host = &*self.session.host;
        self.placer
            .copies
            .flush(|step, bytes| host.copied(step, bytes));
        Ok(())
    }

    /// Takes one datagram. Its packet number, when it was genuine and new.
    pub(super) fn datagram(
        &mut self,
        now: Instant,
        bytes: &[u8],
        ce: bool,
    ) -> Result<Option<u64>, Fault> {
        let Some(packet) = Packet::decode(bytes) else {
            return Ok(None);
        };
        let header = &packet.header;
        let ours =
            header.connection_id == self.session.connection_id && header.lane == self.lane_id;
        if !ours || !self.lane.would_accept(header.packet_number) {
            return Ok(None);
        }
        let opened = match header.kind {
            Kind::Data => self.data(now, &packet),
            Kind::Control | Kind::Hello | Kind::HelloAck => {
                self.frames(now, &packet).map(|()| None)
            }
        };
        let complete = match opened {
            Ok(complete) => complete,
            Err(Refused::Tag) => return self.forged(),
            Err(Refused::Violation(e)) => return Err(Fault::Violation(e)),
        };
        if header.kind == Kind::Data {
            self.placer.copies.add(Step::Receive, packet.payload.len());
        }
        self.in_use |= matches!(header.kind, Kind::Data | Kind::Control);
        let frames = if header.kind == Kind::Data {
            &[]
        } else {
            self.frames.as_slice()
        };
        self.lane
            .on_packet(now, header, bytes.len(), ce, frames, &mut self.events)?;
        if let Some(unit) = complete {
            self.session.host.unit_complete(self.lane_id, unit);
        }
        Ok(Some(header.packet_number))
    }

    fn frames(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), Refused> {
        self.frames.resize(packet.payload.len(), 0);
        let moved = self
            .open
            .open(packet.sealed(packet.sealed), &mut self.frames)
            .map_err(|_| Refused::Tag)?;
        self.note_key(now, moved);
        Ok(())
    }

    fn data(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
    ) -> Result<Option<Arc<crate::transport::InUnit>>, Refused> {
        let header = &packet.header;
        if header.clear {
            return self.clear_data(packet);
        }
        let Ok(range) = packet.range() else {
            // The rule is broken only if the packet is genuine; then the state machine says which.
            return self.frames(now, packet).map(|()| None);
        };
        let Core {
            open,
            placer,
            session,
            ..
        } = self;
        let mut moved = false;
        let landed = placer.open(&*session.host, &range, |place| {
            moved = open.open(packet.sealed(packet.sealed), place)?;
            Ok(())
        })?;
        self.note_key(now, moved);
        Ok(complete(landed))
    }

    fn clear_data(
        &mut self,
        packet: &Packet<'_>,
    ) -> Result<Option<Arc<crate::transport::InUnit>>, Refused> {
        self.open
            .open(packet.sealed(packet.tag), &mut [])
            .map_err(|_| Refused::Tag)?;
        if self.session.options.seal {
            let fault = Fault::violation("the peer sent clear data in a sealed session");
            return Err(Refused::Violation(fault.error().clone()));
        }
        let Ok(range) = packet.range() else {
            return Ok(None);
        };
        Ok(complete(self.placer.copy(
            &*self.session.host,
            &range,
            packet.payload,
        )?))
    }

    fn note_key(&mut self, now: Instant, moved: bool) {
        if moved {
            let sample = self.lane.sample(now);
            let pto = match sample.smoothed_rtt_ns {
                0 => FIRST_PTO,
                rtt => rtt + 4 * sample.rtt_var_ns + 5 * MS,
            };
            self.old_key_until = Some(now.after(KEEP_KEY_PTOS * pto));
        }
    }

    fn forged(&mut self) -> Result<Option<u64>, Fault> {
        self.forged += 1;
        match self.forged {
            FORGERIES.. => Err(Fault::violation("too many forged packets")),
            _ => Ok(None),
        }
    }

    /// What time does: recovery, timeouts, and the end of an old key.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.old_key_until.is_some_and(|at| at <= now) {
            self.old_key_until = None;
            self.open.drop_previous();
        }
        if self.lane.next_timeout().is_some_and(|at| at <= now) {
            self.lane.on_timeout(now, &mut self.events);
        }
    }
}

fn complete(landed: Landed) -> Option<Arc<crate::transport::InUnit>> {
    match landed {
        Landed::Partial => None,
        Landed::Complete(unit) => Some(unit),
    }
}
