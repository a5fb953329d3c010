//! Sealing planned packets into a train.

use std::io::IoSlice;
use std::sync::Arc;

use pb_proto::lane::config::MAX_DATAGRAM;
use pb_proto::lane::{PacketPlan, PlanBody};
use pb_proto::wire::header::{HEADER, Header, TAG};

use super::units::{Units, from_file, in_memory};
use crate::copies::{LaneCopies, Step};
use crate::transport::OutUnit;
use crate::transport::crypto::SealKeys;

/// Bytes of the largest train: what UDP_SEGMENT takes at once.
pub(super) const TRAIN: usize = MAX_DATAGRAM as usize;
/// Packets of the largest train (UDP_MAX_SEGMENTS of kernels before 6.9; 128 since).
pub(super) const TRAIN_PACKETS: usize = 64;

/// One train of sealed packets, back to back.
pub(super) struct Train {
    bytes: Box<[u8]>,
    len: usize,
    /// Size of its packets but the last.
    pub size: usize,
    /// A train of one clear packet, whose payload is sent from where it lies; `bytes` are its header and its tag.
    lone: Option<Lone>,
    /// Room for a payload that has to be read from a file before it is sealed.
    aside: Vec<u8>,
    pub copies: LaneCopies,
}

struct Lone {
    unit: Arc<OutUnit>,
    offset: usize,
    len: usize,
}

impl Train {
    pub(super) fn new() -> Train {
        Train {
            bytes: vec![0; TRAIN].into_boxed_slice(),
            len: 0,
            size: 0,
            lone: None,
            aside: Vec::new(),
            copies: LaneCopies::default(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The one packet in pieces, when it was not put together.
    pub(super) fn pieces(&self) -> Option<[IoSlice<'_>; 3]> {
        let lone = self.lone.as_ref()?;
        let payload = in_memory(&lone.unit, lone.offset, lone.len)?;
        let (head, tag) = self.bytes().split_at_checked(HEADER)?;
        Some([head, payload, tag].map(IoSlice::new))
    }

    /// It is sent: nothing of it is held any longer.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.lone = None;
    }

    fn fill_lone(&mut self, plan: &PacketPlan, keys: &SealKeys, units: &mut Units) -> Option<()> {
        let h = &plan.header;
        let (offset, len) = (h.offset as usize, usize::from(h.payload_len));
        let (PlanBody::Unit, true) = (&plan.body, h.clear) else {
            return None;
        };
        let unit = units.get(h.unit)?;
        in_memory(unit, offset, len)?;
        let (head, rest) = self.bytes.split_first_chunk_mut::<HEADER>()?;
        h.encode(head);
        let tag = keys
            .key()
            .seal_header(h.packet_number, &Header::aad(head))
            .ok()?;
        rest[..TAG].copy_from_slice(&tag);
        self.copies.add(Step::Send, len);
        self.len = HEADER + TAG;
        let unit = Arc::clone(unit);
        self.lone = Some(Lone { unit, offset, len });
        Some(())
    }

    /// Seals `plans`. A plan that cannot be sealed (its unit is not there) is left out: it counts as lost.
    pub(super) fn fill(&mut self, plans: &[PacketPlan], keys: &SealKeys, units: &mut Units) {
        self.clear();
        self.size = plans.first().map_or(1, |p| usize::from(p.size));
        if let [plan] = plans
            && self.fill_lone(plan, keys, units).is_some()
        {
            return;
        }
        for plan in plans {
            let size = usize::from(plan.size);
            let Some(packet) = self.bytes.get_mut(self.len..self.len + size) else {
                return;
            };
            let beside = Beside {
                bytes: &mut self.aside,
                copies: &mut self.copies,
            };
            if seal(plan, keys, units, beside, packet).is_none() {
                return;
            }
            self.len += size;
        }
    }
}

/// What sealing needs besides.
struct Beside<'a> {
    bytes: &'a mut Vec<u8>,
    copies: &'a mut LaneCopies,
}

fn seal(
    plan: &PacketPlan,
    keys: &SealKeys,
    units: &mut Units,
    beside: Beside<'_>,
    packet: &mut [u8],
) -> Option<()> {
    let (head, rest) = packet.split_first_chunk_mut::<HEADER>()?;
    let h = &plan.header;
    h.encode(head);
    let aad = Header::aad(head);
    let key = keys.key();
    let payload = match &plan.body {
        PlanBody::Frames(frames) => frames.as_slice(),
        PlanBody::Unit => {
            let (at, len) = (h.offset as usize, usize::from(h.payload_len));
            let unit = units.get(h.unit)?;
            let in_memory = in_memory(unit, at, len);
            if !unit.always_sealed {
                let step = if h.clear { Step::Packet } else { Step::Seal };
                let copies = beside.copies;
                copies.add(step, len);
                copies.add(Step::Send, len);
                copies.add(Step::Read, if in_memory.is_none() { len } else { 0 });
            }
            if let Some(bytes) = in_memory {
                bytes
            } else {
                beside.bytes.resize(len, 0);
                from_file(unit, at, beside.bytes);
                beside.bytes.as_slice()
            }
        }
    };
    if !h.clear {
        return key.seal(h.packet_number, &aad, payload, rest).ok();
    }
    let (body, tag) = rest.split_at_mut_checked(payload.len())?;
    body.copy_from_slice(payload);
    (tag.len() == TAG).then_some(())?;
    tag.copy_from_slice(&key.seal_header(h.packet_number, &aad).ok()?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Budget;
    use crate::transport::OutBody;
    use crate::transport::crypto::{Direction, KeySchedule, Medium, Secret, SessionKeys, Suite};
    use pb_proto::wire::header::Kind;

    const UNIT: u32 = 3000;
    const PAYLOAD: u16 = 1000;

    fn keys() -> SealKeys {
        let keys = SessionKeys {
            connection_id: 1,
            client_random: [2; 32],
            server_random: [3; 32],
            suite: Suite::Aes128Gcm,
        };
        SealKeys::new(KeySchedule {
            secret: Arc::new(Secret::of(&keys)),
            direction: Direction::ClientToServer,
            medium: Medium::Udp,
            lane: 0,
        })
    }

    fn units() -> Units {
        let mut buffer = Budget::new(1 << 20).try_take(UNIT as usize).unwrap();
        for (i, byte) in buffer.as_mut_slice().iter_mut().enumerate() {
            *byte = (i / 7) as u8;
        }
        Units::of(OutUnit {
            id: 9,
            len: UNIT,
            always_sealed: false,
            body: OutBody::Memory(buffer),
        })
    }

    fn plan(packet: u32, clear: bool) -> PacketPlan {
        let header = Header {
            kind: Kind::Data,
            key_phase: false,
            clear,
            lane: 0,
            payload_len: PAYLOAD,
            connection_id: 1,
            packet_number: u64::from(packet),
            unit: 9,
            offset: packet * u32::from(PAYLOAD),
            unit_len: UNIT,
        };
        let size = (HEADER + TAG) as u16 + PAYLOAD;
        PacketPlan {
            header,
            body: PlanBody::Unit,
            size,
        }
    }

    #[test]
    fn a_lone_clear_packet_is_the_same_in_pieces_and_is_not_copied() {
        let (mut train, keys, mut units) = (Train::new(), keys(), units());
        train.fill(&[plan(1, true), plan(2, true)], &keys, &mut units);
        assert!(train.pieces().is_none());
        let together = train.bytes()[..train.size].to_vec();
        train.copies.flush(|_, _| {});
        train.fill(&[plan(1, true)], &keys, &mut units);
        let pieces = train.pieces().unwrap();
        assert_eq!(pieces.map(|p| p.to_vec()).concat(), together);
        let mut copies = Vec::new();
        train.copies.flush(|step, bytes| copies.push((step, bytes)));
        assert_eq!(copies, [(Step::Send, usize::from(PAYLOAD))]);
        train.clear();
        assert!(train.pieces().is_none() && train.bytes().is_empty());
    }

    #[test]
    fn a_lone_sealed_packet_is_put_together() {
        let (mut train, keys, mut units) = (Train::new(), keys(), units());
        train.fill(&[plan(0, false)], &keys, &mut units);
        assert!(train.pieces().is_none());
        assert_eq!(train.bytes().len(), train.size);
    }
}
