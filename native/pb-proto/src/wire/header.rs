//! The 32 clear bytes in front of every packet and record (`docs/PROTOCOL.md` section 2).

use super::DecodeError;
use crate::error::Violation;
use crate::units::MAX_UNIT;

/// Bytes of the header.
pub const HEADER: usize = 32;
/// Bytes of the AEAD tag behind the payload.
pub const TAG: usize = 16;
/// Bytes of a datagram that are not payload.
pub const OVERHEAD: usize = HEADER + TAG;

const VERSION: u8 = 0b0100_0000;
const VERSION_MASK: u8 = 0b1100_0000;
const KEY_PHASE: u8 = 0b0000_1000;
const CLEAR: u8 = 0b0000_0100;
const RESERVED: u8 = 0b0000_0011;

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Frames, always sealed.
    Control,
    /// Bytes of a unit.
    Data,
    /// The client's first packets on a lane: frames, sealed under phase 0.
    Hello,
    /// The server's answer to it.
    HelloAck,
}

/// A packet's header. `unit`, `offset` and `unit_len` are 0 unless `kind` is [`Kind::Data`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Lowest bit of the sender's key phase.
    pub key_phase: bool,
    /// The payload is not encrypted, only the header is authenticated. Only for data.
    pub clear: bool,
    pub lane: u8,
    /// Bytes between header and tag on UDP; 0 on TCP, where the record's length says it.
    pub payload_len: u16,
    pub connection_id: u64,
    pub packet_number: u64,
    pub unit: u32,
    pub offset: u32,
    pub unit_len: u32,
}

impl Header {
    /// Writes all 32 bytes.
    pub fn encode(&self, out: &mut [u8; HEADER]) {
        let kind = match self.kind {
            Kind::Control => 0,
            Kind::Data => 1,
            Kind::Hello => 2,
            Kind::HelloAck => 3,
        };
        let phase = if self.key_phase { KEY_PHASE } else { 0 };
        let clear = if self.clear { CLEAR } else { 0 };
        out[0] = VERSION | kind << 4 | phase | clear;
        out[1] = self.lane;
        out[2..4].copy_from_slice(&self.payload_len.to_be_bytes());
        out[4..12].copy_from_slice(&self.connection_id.to_be_bytes());
        out[12..20].copy_from_slice(&self.packet_number.to_be_bytes());
        out[20..24].copy_from_slice(&self.unit.to_be_bytes());
        out[24..28].copy_from_slice(&self.offset.to_be_bytes());
        out[28..32].copy_from_slice(&self.unit_len.to_be_bytes());
    }

    /// Reads the first 32 bytes. Errors mean "drop without answer". Lengths are not compared with anything yet:
    /// see [`Header::check_datagram`] and [`Header::check_data`].
    pub fn decode(bytes: &[u8]) -> Result<Header, DecodeError> {
        let b: &[u8; HEADER] = bytes.first_chunk().ok_or(DecodeError::Truncated)?;
        if b[0] & VERSION_MASK != VERSION {
            return Err(DecodeError::Version);
        }
        let kind = match b[0] >> 4 & 3 {
            0 => Kind::Control,
            1 => Kind::Data,
            2 => Kind::Hello,
            _ => Kind::HelloAck,
        };
        let header = Header {
            kind,
            key_phase: b[0] & KEY_PHASE != 0,
            clear: b[0] & CLEAR != 0,
            lane: b[1],
            payload_len: u16::from_be_bytes([b[2], b[3]]),
            connection_id: u64_at(b, 4),
            packet_number: u64_at(b, 12),
            unit: u32_at(b, 20),
            offset: u32_at(b, 24),
            unit_len: u32_at(b, 28),
        };
        let bare = header.unit == 0 && header.offset == 0 && header.unit_len == 0 && !header.clear;
        if b[0] & RESERVED != 0 || (kind != Kind::Data && !bare) {
            return Err(DecodeError::Reserved);
        }
        Ok(header)
    }

    /// Reads the header of a whole datagram and checks that header, payload and tag fill it exactly.
    pub fn decode_datagram(datagram: &[u8]) -> Result<Header, DecodeError> {
        let header = Header::decode(datagram)?;
        header.check_datagram(datagram.len())?;
        Ok(header)
    }

    /// Checks that header, payload and tag fill a datagram of `len` bytes exactly.
    pub fn check_datagram(&self, len: usize) -> Result<(), DecodeError> {
        match len {
            0..OVERHEAD => Err(DecodeError::Truncated),
            _ if usize::from(self.payload_len) + OVERHEAD != len => Err(DecodeError::Length),
            _ => Ok(()),
        }
    }

    /// Whether a data packet with `payload` bytes names a place inside a lawful unit. To be asked before the payload
    /// is opened into that place, and answered with a close only once the tag is known to be right.
    pub fn check_data(&self, payload: u32) -> Result<(), Violation> {
        let end = self.offset.checked_add(payload);
        if self.unit_len == 0 || self.unit_len > MAX_UNIT {
            return Err(Violation::UnitLength(self.unit_len));
        }
        if payload == 0 || end.is_none_or(|end| end > self.unit_len) {
            return Err(Violation::UnitRange {
                offset: self.offset,
                payload,
                unit_len: self.unit_len,
            });
        }
        Ok(())
    }

    /// The bytes that the AEAD authenticates: an encoded header with the connection id, which relays rewrite, zeroed.
    pub fn aad(bytes: &[u8; HEADER]) -> [u8; HEADER] {
        let mut aad = *bytes;
        aad[4..12].fill(0);
        aad
    }
}

fn u64_at(b: &[u8; HEADER], at: usize) -> u64 {
    b[at..at + 8].iter().fold(0, |v, &x| v << 8 | u64::from(x))
}

fn u32_at(b: &[u8; HEADER], at: usize) -> u32 {
    b[at..at + 4].iter().fold(0, |v, &x| v << 8 | u32::from(x))
}
