//! What one fetch has to fill, of which another may take the rear.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::pump::Memory;

/// Memory that is filled in turn. A clone is the same lot.
#[derive(Clone)]
pub struct Lot(Arc<Shared>);

struct Shared {
    /// Bytes, of all that it was made of.
    wanted: u64,
    /// What nobody has begun to fill.
    waiting: Mutex<VecDeque<Memory>>,
}

impl Lot {
    pub fn new(memory: VecDeque<Memory>) -> Lot {
        let wanted = memory.iter().map(|m| m.bytes().len() as u64).sum();
        let waiting = Mutex::new(memory);
        Lot(Arc::new(Shared { wanted, waiting }))
    }

    /// Memories that nobody has begun to fill.
    pub fn left(&self) -> usize {
        self.0.waiting.lock().len()
    }

    /// The rear half of those, for somebody else to fill.
    pub fn split(&self) -> VecDeque<Memory> {
        let mut waiting = self.0.waiting.lock();
        let at = waiting.len().div_ceil(2);
        waiting.split_off(at)
    }

    pub(super) fn wanted(&self) -> u64 {
        self.0.wanted
    }

    pub(super) fn next(&self) -> Option<Memory> {
        self.0.waiting.lock().pop_front()
    }

    /// It was not filled.
    pub(super) fn put_back(&self, memory: Memory) {
        self.0.waiting.lock().push_front(memory);
    }

    pub(super) fn take_all(&self) -> VecDeque<Memory> {
        std::mem::take(&mut *self.0.waiting.lock())
    }
}
