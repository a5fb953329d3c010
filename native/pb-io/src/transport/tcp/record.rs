//! The shape of a record: u32 length of the payload, header, payload, tag (`docs/PROTOCOL.md` section 2).

use pb_proto::units::MAX_UNIT;
use pb_proto::wire::header::{HEADER, Header, TAG};

use crate::transport::fault::Fault;

/// Bytes in front of a record's payload.
pub const PREFIX: usize = 4 + HEADER;
/// Payload of the records we send: large enough that system calls and tags do not count, small enough that the
/// record, sealed into one buffer, stays in a core's second-level cache (1 MiB) until the socket took it.
pub const RECORD: u32 = 256 * 1024;
/// Payload of the first record of a unit. The receiver copies it, because it may not name the unit's place
/// before the tag is checked.
pub const FIRST_RECORD: u32 = 8 * 1024;
/// What a TCP connection that becomes a lane starts with. A TLS connection starts with 0x16.
pub const PREAMBLE: &[u8; 4] = b"PBL1";
/// Longest HELLO or HELLO_ACK record, bytes: bounds what a connection can make us hold before it is authenticated.
pub const MAX_HELLO: usize = 2048;

/// The first [`PREFIX`] bytes of a record, decoded.
#[derive(Debug, Clone, Copy)]
pub struct Prefix {
    pub header: Header,
    pub aad: [u8; HEADER],
    /// Bytes of payload.
    pub len: u32,
}

impl Prefix {
    /// Reads a prefix. An error ends the connection: a stream cannot be followed behind it.
    pub fn decode(bytes: &[u8; PREFIX]) -> Result<Prefix, Fault> {
        let (len, head) = bytes.split_first_chunk::<4>().ok_or_else(Fault::stream)?;
        let head: &[u8; HEADER] = head.first_chunk().ok_or_else(Fault::stream)?;
        let len = u32::from_be_bytes(*len);
        let header = Header::decode(head).map_err(|_| Fault::stream())?;
        if len > MAX_UNIT || header.payload_len != 0 {
            return Err(Fault::stream());
        }
        Ok(Prefix {
            header,
            aad: Header::aad(head),
            len,
        })
    }

    /// Bytes of the whole record.
    pub fn total(&self) -> usize {
        PREFIX + self.len as usize + TAG
    }
}

/// Writes the prefix of a record with `len` bytes of payload and returns the header's AAD.
pub fn encode_prefix(header: &Header, len: u32, out: &mut [u8; PREFIX]) -> [u8; HEADER] {
    let mut head = [0u8; HEADER];
    header.encode(&mut head);
    out[..4].copy_from_slice(&len.to_be_bytes());
    out[4..].copy_from_slice(&head);
    Header::aad(&head)
}
