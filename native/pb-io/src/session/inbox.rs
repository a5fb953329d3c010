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
    /// Bytes of units that are whole.
    completed: u64,
    /// Bytes of units that were processed and whose memory is free again.
    processed: u64,
    /// How far the grant runs ahead of `processed`.
    window: u64,
    /// What the window may grow to.
    limit: u64,
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

/// The window of a receiver at its start. Memory that is touched for the first time is slow, on a virtual machine many times
/// slower than the copy into it, so a window only grows into more while the writers keep up.
pub(super) const START_WINDOW: u64 = 32 << 20;

/// Whole units that wait for the writers: with more than this a larger window would only hold more of them.
const MAX_BACKLOG: u64 = START_WINDOW / 2;

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
            completed: 0,
            processed: 0,
            window,
            limit: window,
            called: window,
        };
        // The grant is the bound; the pool only recycles.
        Inbox {
            budget: Budget::new(usize::MAX / 2),
            state: Mutex::new(state),
        }
    }

    /// Lets what is granted ahead grow to `limit`, from [`START_WINDOW`] at once; it never shrinks.
    pub fn widen(&self, limit: u64) {
        let mut s = self.state.lock();
        s.limit = s.limit.max(limit);
        s.window = s.window.max(s.limit.min(START_WINDOW));
    }

    /// For a job whose writers wait for a path of their own, so that whole units are held for long and tell nothing about who is slow: so much ahead
    /// from the start, up to the limit.
    pub fn hold(&self, window: u64) {
        let mut s = self.state.lock();
        s.window = s.window.max(window.min(s.limit));
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
        if let Some(unit) = s.arriving.remove(&id) {
            s.completed += u64::from(unit.len);
        }
        s.complete.insert(id);
    }

    /// `len` bytes were processed and freed; true when the peer should hear of the larger grant now.
    pub fn release(&self, len: u32) -> bool {
        let mut s = self.state.lock();
        s.processed += u64::from(len);
        // As in slow start: twice the window after each round of it, as long as the wire is what holds the sender back.
        if s.completed.saturating_sub(s.processed) < MAX_BACKLOG {
            s.window = (s.window + u64::from(len)).min(s.limit);
        }
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
    fn the_window_grows_while_the_writers_keep_up() {
        let inbox = Inbox::new(0);
        inbox.widen(100 << 20);
        assert_eq!(inbox.grant(), START_WINDOW);
        for id in 0..200 {
            inbox.place(id, 1 << 20).unwrap();
            inbox.complete(id);
            inbox.release(1 << 20);
        }
        assert_eq!(inbox.grant(), (200 << 20) + (100 << 20));
    }

    #[test]
    fn a_window_for_writers_that_wait_is_wide_from_the_start_and_within_the_limit() {
        let inbox = Inbox::new(0);
        inbox.widen(100 << 20);
        inbox.hold(64 << 20);
        assert_eq!(inbox.grant(), 64 << 20);
        inbox.hold(1 << 40);
        inbox.hold(1);
        assert_eq!(inbox.grant(), 100 << 20);
    }

    #[test]
    fn a_window_full_of_whole_units_stays_as_it_is() {
        let inbox = Inbox::new(0);
        inbox.widen(100 << 20);
        for id in 0..32 {
            inbox.place(id, 1 << 20).unwrap();
            inbox.complete(id);
        }
        for id in 32..200 {
            inbox.release(1 << 20);
            inbox.place(id, 1 << 20).unwrap();
            inbox.complete(id);
        }
        assert_eq!(inbox.grant(), (168 << 20) + START_WINDOW);
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
