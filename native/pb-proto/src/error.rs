//! What closes a session, and the codes by which it is said.

use crate::wire::DecodeError;

/// Codes of CLOSE frames (`docs/PROTOCOL.md` section 3). Codes from 0x100 up belong to the session above.
pub mod close {
    /// Everything was done.
    pub const DONE: u64 = 0;
    /// The peer broke a rule of the protocol.
    pub const PROTOCOL: u64 = 1;
    /// An error inside this engine.
    pub const INTERNAL: u64 = 2;
    /// More bytes of units than were granted.
    pub const GRANT: u64 = 3;
    /// Nothing was heard for the idle timeout. Never on the wire.
    pub const IDLE: u64 = 4;
    /// No HELLO_ACK came in time. Never on the wire.
    pub const HANDSHAKE: u64 = 5;
    /// Too many packets with wrong tags under one key.
    pub const FORGERIES: u64 = 6;
}

/// A packet whose tag was right and whose content broke a rule: the session is closed with [`close::PROTOCOL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("unit length {0} is 0 or above 1 MiB + 64 KiB")]
    UnitLength(u32),
    #[error("{payload} bytes at offset {offset} do not lie in a unit of {unit_len}")]
    UnitRange {
        offset: u32,
        payload: u32,
        unit_len: u32,
    },
    #[error("bad frame: {0}")]
    Frame(#[from] DecodeError),
    #[error("packet {0} was acknowledged but never sent")]
    AckOfUnsent(u64),
    #[error("data after LANE_DONE")]
    DataAfterDone,
    #[error("a HELLO or HELLO_ACK from the wrong side, or without its frames")]
    Handshake,
    #[error("a HELLO frame outside the handshake")]
    UnexpectedHello,
}
