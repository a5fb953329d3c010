//! What pb-io's module of this name is here: units as its sources know them, wakers and orders as they are.

use std::sync::Arc;

use parking_lot::Mutex;
use pb_proto::units::Assembly;

use crate::buffer::Buffer;
use crate::error::Code;

#[path = "../../pb-io/src/transport/control.rs"]
pub mod control;
#[path = "../../pb-io/src/transport/waker.rs"]
mod waker;
pub use waker::Waker;

pub type LaneId = u8;

pub struct OutUnit {
    pub id: u32,
    pub len: u32,
    pub always_sealed: bool,
    pub body: OutBody,
}

pub enum OutBody {
    Memory(Buffer),
}

pub struct InUnit {
    pub id: u32,
    pub len: u32,
    pub state: Mutex<InState>,
}

pub struct InState {
    pub assembly: Assembly,
    pub buffer: Option<Buffer>,
}

pub enum Next {
    Unit(Arc<OutUnit>),
    Idle,
    NoCredit,
    Limited { retry_ns: u64 },
}

pub enum Place {
    Into(Arc<InUnit>),
    AlreadyComplete,
}

#[derive(Debug)]
pub struct TransportError {
    pub code: Code,
    pub message: String,
}

/// Sleeps until rung.
pub fn sleep(waker: &Waker) {
    rustix::event::wait_readable(waker);
    waker.clear();
}

/// The next sleep would be none.
pub fn is_rung(waker: &Waker) -> bool {
    rustix::event::is_readable(waker)
}
