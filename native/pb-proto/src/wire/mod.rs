//! Codecs of the bytes in `docs/PROTOCOL.md`: packet headers, frames, variable-length integers.

pub mod ack;
pub mod frame;
pub mod header;
#[cfg(test)]
mod tests;
pub mod varint;

/// Why bytes from the wire were not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("truncated")]
    Truncated,
    #[error("unknown protocol version")]
    Version,
    #[error("reserved bits or fields are not zero")]
    Reserved,
    #[error("payload length does not fit the datagram")]
    Length,
    #[error("unknown frame type {0:#04x}")]
    UnknownFrame(u8),
    #[error("an ACK has more than 64 ranges")]
    TooManyRanges,
    #[error("an ACK range reaches below packet number 0")]
    RangeUnderflow,
    #[error("a CLOSE reason is longer than 256 bytes or not UTF-8")]
    Reason,
}
