//! Lanes: how units get from one process to another.
//!
//! A transport knows sockets, packets, records, keys and loss. It does not know files. It pulls units
//! from a [`LaneHost`] and pushes received ones to it. One folder per transport: `udp`, `tcp`.
//!
//! Order of calls, per lane:
//! 1. `connect` (client) or [`Listener`](listener::Listener) (server) makes the lane and its thread.
//! 2. The thread calls [`LaneHost::lane_up`] once, with the waker by which it can be called out of its sleep.
//! 3. It calls `next_unit` whenever it has room on the wire, `place` for each packet that arrives, `unit_complete`
//!    once for each unit whose last byte it placed, `unit_acked` once for each unit of its own that the peer has whole.
//! 4. It ends with exactly one `lane_down`, returning every unit it pulled and that was not acknowledged.
//!
//! All methods may be called from several lane threads at once and never block for longer than a lock
//! that is held for microseconds.

use std::sync::Arc;

use parking_lot::Mutex;
use pb_proto::units::Assembly;

use crate::buffer::Buffer;
use crate::copies::Step;
use crate::error::Code;

/// Which of a session's lanes; equals the lane byte of the packet header.
pub type LaneId = u8;

/// A unit to be sent.
pub struct OutUnit {
    pub id: u32,
    /// Total bytes, at least 1.
    pub len: u32,
    /// Messages are sealed even in a session that leaves data clear.
    pub always_sealed: bool,
    pub body: OutBody,
}

/// Where the bytes of an [`OutUnit`] are.
pub enum OutBody {
    /// In memory: the whole unit.
    Memory(Buffer),
    /// In a file, followed by a trailer in memory: only in sessions without a seal over TCP (sendfile).
    /// `len == length + trailer.len()`.
    File {
        file: Arc<std::fs::File>,
        offset: u64,
        length: u32,
        trailer: Vec<u8>,
    },
}

/// A unit that is arriving. Ranges are opened straight into `buffer`.
pub struct InUnit {
    pub id: u32,
    pub len: u32,
    pub state: Mutex<InState>,
}

/// What the lanes of a session share of an arriving unit.
pub struct InState {
    pub assembly: Assembly,
    /// `len` bytes plus 16 of slack (a record's tag may land behind the last byte). `None` once handed on.
    pub buffer: Option<Buffer>,
}

/// Answer to [`LaneHost::next_unit`].
pub enum Next {
    Unit(Arc<OutUnit>),
    /// Nothing to send: the samples taken now are application-limited.
    Idle,
    /// Units wait, but the peer's grant is used up: receiver-limited.
    NoCredit,
    /// Units wait, but the session's own rate limit says not before this many nanoseconds from now.
    Limited {
        retry_ns: u64,
    },
}

/// Answer to [`LaneHost::place`].
pub enum Place {
    Into(Arc<InUnit>),
    /// The unit was completed before: acknowledge the packet, drop its payload.
    AlreadyComplete,
}

/// Why a lane or session ends.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TransportError {
    pub code: Code,
    pub message: String,
}

impl TransportError {
    pub fn new(code: Code, message: impl Into<String>) -> TransportError {
        TransportError {
            code,
            message: message.into(),
        }
    }
}

/// What a lane driver may ask of its session, and tell it.
pub trait LaneHost: Send + Sync {
    /// The lane is established; `waker` interrupts its sleep when there is something to send or grant.
    fn lane_up(&self, lane: LaneId, transport: TransportKind, waker: Arc<Waker>);
    /// The lane is to carry nothing now, though it is up. It asks again at least four times a second.
    fn rests(&self, lane: LaneId, min_rtt: Option<pb_proto::time::Nanos>) -> bool {
        let _ = (lane, min_rtt);
        false
    }
    /// The next unit to put on the wire, with its credit already taken.
    fn next_unit(&self, lane: LaneId) -> Next;
    /// The peer's transport holds every byte of this unit.
    fn unit_acked(&self, lane: LaneId, unit: Arc<OutUnit>);
    /// Finds or makes the place of a unit. Charges its length once; an `Err` (grant exceeded, length
    /// over the bound, length differing from an earlier packet's) is a violation that closes the session.
    fn place(&self, id: u32, len: u32) -> Result<Place, TransportError>;
    /// Every byte of the unit is in place.
    fn unit_complete(&self, lane: LaneId, unit: Arc<InUnit>);
    /// The cumulative grant that this side gives its peer now. Monotonic.
    fn grant(&self) -> u64;
    /// The peer's cumulative grant, from any lane, in any order.
    fn peer_grant(&self, bytes: u64);
    /// A fresh sample of a lane, at most 20 a second, or 100 where the host wants fine ones.
    fn sample(&self, lane: LaneId, sample: pb_proto::sample::PathSample);
    /// Payload was copied on its way.
    fn copied(&self, step: Step, bytes: usize) {
        let _ = (step, bytes);
    }
    /// For a trace.
    fn wants_fine_samples(&self) -> bool {
        false
    }
    /// The lane has ended; `unfinished` are the units pulled and not acknowledged.
    fn lane_down(&self, lane: LaneId, unfinished: Vec<Arc<OutUnit>>, why: Option<TransportError>);
    /// The peer closed the session (or broke its rules): nothing more comes.
    fn session_closed(&self, why: TransportError);
}

pub(crate) use clock::now as monotonic;
pub use control::{CLOSE_NORMAL, LaneSet};
pub use options::{Choice, LaneOptions, SOCKET_BUFFER, TransportKind};
pub use session::MAX_LANES;
pub use waker::Waker;

mod clock;
pub mod connect;
mod control;
pub mod crypto;
mod fault;
pub mod listener;
mod options;
mod placing;
pub(crate) mod sampled;
mod session;
mod sys;
mod tcp;
mod udp;
mod waker;

#[cfg(test)]
mod tests;
