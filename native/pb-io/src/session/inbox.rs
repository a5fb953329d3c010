//! Units that arrive: their places, what was completed, and the grant given to the peer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use pb_proto::units::{Assembly, MAX_UNIT};

use crate::buffer::Budget;
use crate::error::Code;
use crate::transport::{InState, InUnit, Place, TransportError};

/// See the module.
pub struct Inbox {
    budget: Budget,
    state: Mutex<State>,
}

struct State {
    arriving: HashMap<u32, Arc<InUnit>>,
    complete: Complete,
    /// Bytes of units that were given a place.
    placed: u64,
    /// Bytes of units that were processed and whose memory is free again.
    processed: u64,
    /// How far the grant runs ahead of `processed`.
    window: u64,
    /// The grant when a lane was last called to announce it.
    called: u64,
}

/// Ids of units that are complete: all below `base`, and those in `above`.
#[derive(Default)]
struct Complete {
    base: u32,
    above: HashSet<u32>,
}

impl Complete {
    fn has(&self, id: u32) -> bool {
        id < self.base || self.above.contains(&id)
    }
    fn insert(&mut self, id: u32) {
        self.above.insert(id);
        while self.above.remove(&self.base) {
            self.base += 1;
        }
    }
}

/// Two of the largest units: below that a transfer could not overlap anything.
pub const MIN_WINDOW: u64 = 2 * MAX_UNIT as u64;

/// Ids further ahead than this of the lowest incomplete one pin memory in [`Complete`]: no honest sender does it.
const MAX_ID_SPREAD: u32 = 1 << 20;

impl Inbox {
    /// `window` bytes are granted ahead.
    pub fn new(window: u64) -> Inbox {
        let window = window.max(MIN_WINDOW);
        let state = State {
            arriving: HashMap::new(),
            complete: Complete::default(),
            placed: 0,
            processed: 0,
            window,
            called: window,
        };
        // The grant is the bound; the pool only recycles.
        Inbox {
            budget: Budget::new(usize::MAX / 2),
            state: Mutex::new(state),
        }
    }

    /// Widens what is granted ahead; it never shrinks.
    pub fn widen(&self, window: u64) {
        let mut s = self.state.lock();
        s.window = s.window.max(window);
    }

    /// See `LaneHost::place`.
    pub fn place(&self, id: u32, len: u32) -> Result<Place, TransportError> {
        let mut s = self.state.lock();
        if let Some(unit) = s.arriving.get(&id) {
            return if unit.len == len {
                Ok(Place::Into(Arc::clone(unit)))
            } else {
                Err(violation("unit length changed"))
            };
        }
        if s.complete.has(id) {
            return Ok(Place::AlreadyComplete);
        }
        if len == 0 || len > MAX_UNIT || id - s.complete.base > MAX_ID_SPREAD {
            return Err(violation("unit out of bounds"));
        }
        if s.placed + u64::from(len) > s.processed + s.window {
            return Err(violation("more units than granted"));
        }
        let buffer = self
            .budget
            .try_take(len as usize)
            .ok_or_else(|| violation("memory exhausted"))?;
        s.placed += u64::from(len);
        let state = Mutex::new(InState {
            assembly: Assembly::new(len),
            buffer: Some(buffer),
        });
        let unit = Arc::new(InUnit { id, len, state });
        s.arriving.insert(id, Arc::clone(&unit));
        Ok(Place::Into(unit))
    }

    /// The unit is whole: later packets of it are duplicates.
    pub fn complete(&self, id: u32) {
        let mut s = self.state.lock();
        s.arriving.remove(&id);
        s.complete.insert(id);
    }

    /// `len` bytes were processed and freed; true when the peer should hear of the larger grant now.
    pub fn release(&self, len: u32) -> bool {
        let mut s = self.state.lock();
        s.processed += u64::from(len);
        let grant = s.processed + s.window;
        let due =
            grant - s.called >= s.window / 8 || s.called.saturating_sub(s.placed) < s.window / 4;
        if due {
            s.called = grant;
        }
        due
    }

    /// Forgets what was arriving and frees its memory.
    pub fn close(&self) {
        self.state.lock().arriving = HashMap::new();
        self.budget.close();
    }

    /// The cumulative grant.
    pub fn grant(&self) -> u64 {
        let s = self.state.lock();
        s.processed + s.window
    }
}

fn violation(what: &str) -> TransportError {
    TransportError {
        code: Code::ProtocolViolation,
        message: what.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_charged_once_and_the_grant_is_a_bound() {
        let inbox = Inbox::new(MIN_WINDOW);
        for _ in 0..3 {
            assert!(matches!(inbox.place(0, MAX_UNIT), Ok(Place::Into(_))));
        }
        assert!(matches!(inbox.place(1, MAX_UNIT), Ok(Place::Into(_))));
        assert!(inbox.place(2, 1).is_err());
        inbox.complete(0);
        inbox.release(MAX_UNIT);
        assert!(matches!(
            inbox.place(0, MAX_UNIT),
            Ok(Place::AlreadyComplete)
        ));
        assert!(matches!(inbox.place(2, MAX_UNIT), Ok(Place::Into(_))));
        assert_eq!(inbox.grant(), MIN_WINDOW + u64::from(MAX_UNIT));
    }

    #[test]
    fn lengths_out_of_bounds_and_changing_are_refused() {
        let inbox = Inbox::new(0);
        assert!(inbox.place(0, 0).is_err());
        assert!(inbox.place(0, MAX_UNIT + 1).is_err());
        assert!(inbox.place(u32::MAX, 1).is_err());
        assert!(inbox.place(5, 10).is_ok());
        assert!(inbox.place(5, 11).is_err());
    }

    #[test]
    fn completed_ids_collapse() {
        let mut c = Complete::default();
        for id in [3, 1, 2, 0, 5] {
            c.insert(id);
        }
        assert!(c.base == 4 && c.above.len() == 1 && c.has(5) && !c.has(4) && c.has(0));
    }
}
