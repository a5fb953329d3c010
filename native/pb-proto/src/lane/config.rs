//! What a lane is given, and what it hands to its driver.

use crate::cc::ControllerKind;
use crate::time::{MS, Nanos, SECOND};
use crate::wire::header::Header;

/// What an earlier session learned of the path: a warm start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathHint {
    pub min_rtt: Nanos,
    /// Bytes per second that the path carried.
    pub rate: u64,
}

/// A link may be down for a minute and carry on; then half as long again.
pub const IDLE_TIMEOUT: Nanos = 90 * SECOND;

/// How one end of one UDP lane begins.
#[derive(Debug, Clone)]
pub struct LaneConfig {
    /// True on the side that sends HELLO.
    pub client: bool,
    pub lane: u8,
    /// Written into every header.
    pub connection_id: u64,
    /// UDP payload size to start with, bytes: 1200 unless more is known to fit.
    pub datagram_size: u16,
    /// Largest UDP payload to probe for and to receive, bytes; at most 65,487.
    pub max_datagram_size: u16,
    pub controller: ControllerKind,
    /// Makes the skipped packet numbers unpredictable to the peer: random, fresh for each lane.
    pub seed: u64,
    pub path_hint: Option<PathHint>,
    /// Lanes that this side would like (HELLO).
    pub lanes: u8,
    /// Without a packet from the peer for this long the lane ends.
    pub idle_timeout: Nanos,
    /// Packets of one key phase after which the next begins; `None` for the limits of AES-GCM.
    pub rekey_after: Option<u64>,
}

impl LaneConfig {
    /// The defaults of `docs/PROTOCOL.md`.
    pub fn new(client: bool, lane: u8, connection_id: u64, seed: u64) -> LaneConfig {
        LaneConfig {
            client,
            lane,
            connection_id,
            datagram_size: BASE_DATAGRAM,
            max_datagram_size: MAX_DATAGRAM,
            controller: ControllerKind::default(),
            seed,
            path_hint: None,
            lanes: 1,
            idle_timeout: IDLE_TIMEOUT,
            rekey_after: None,
        }
    }
}

/// UDP payload that every path must carry, as in QUIC (RFC 9000 section 14).
pub const BASE_DATAGRAM: u16 = 1200;
/// Largest UDP payload in use: 65,507 is IPv4's limit, GSO takes 20 bytes less (measured).
pub const MAX_DATAGRAM: u16 = 65_487;
/// Longest time an ACK is held back.
pub const MAX_ACK_DELAY: Nanos = 5 * MS;

/// What happened to a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The peer's transport holds all of this unit.
    UnitAcked(u32),
    /// The peer's cumulative grant of unit bytes; never smaller than the one before.
    PeerGrant(u64),
    /// The peer's HELLO, before `HandshakeDone`.
    PeerHello {
        lanes: u8,
        max_datagram: u16,
    },
    HandshakeDone,
    /// The address that was challenged (on the server also the first one) has proven itself.
    PathValidated,
    /// The challenged address did not answer: send to the last validated one again.
    PathAbandoned,
    /// The peer sends no more data on this lane.
    LaneDone,
    /// The lane has ended, by either side; `is_closed` says when nothing more has to be sent.
    Closed {
        code: u64,
        reason: String,
    },
    /// Packets planned from now on are sealed under this phase.
    RotateSendKey {
        phase: u32,
    },
}

/// One datagram to seal and send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketPlan {
    pub header: Header,
    pub body: PlanBody,
    /// The whole datagram: header, payload and tag, bytes.
    pub size: u16,
}

/// The payload of a [`PacketPlan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanBody {
    /// Bytes of a unit: the header's `unit`, `offset` and `payload_len` say which.
    Unit,
    /// Encoded frames.
    Frames(Vec<u8>),
}

/// Where a lane gets units from.
pub trait Feed {
    /// The next unit to send, its credit already taken. Asked only when its first packet can leave now.
    fn next(&mut self) -> FeedNext;
}

/// Answer of a [`Feed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedNext {
    /// `sealed`: the payload is encrypted.
    Unit { id: u32, len: u32, sealed: bool },
    /// Nothing to send.
    Idle,
    /// Units wait, but the peer's grant is used up.
    NoCredit,
    /// Units wait, but a rate limit says not before `retry` nanoseconds from now.
    Limited { retry: Nanos },
}
