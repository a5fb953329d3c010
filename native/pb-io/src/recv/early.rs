//! What comes before the announcement of its file: units have no order.

use std::collections::HashMap;

use pb_proto::message::item::ChunkRun;

use crate::hash::Hash;
use crate::session::Chunk;

/// One thing that came too early.
pub(super) enum Early {
    Chunk(Chunk),
    Holes(Vec<ChunkRun>),
    End { size: u64, hash: Hash },
}

/// By the id of the file.
#[derive(Default)]
pub(super) struct EarlyThings {
    by_id: HashMap<u32, Vec<Early>>,
    /// Bytes that no credit bounds.
    cost: usize,
}

/// Bytes for what no credit bounds: a quarter of a million ends, or a million holes.
const MAX_COST: usize = 16 << 20;

impl Early {
    fn cost(&self) -> usize {
        match self {
            Early::Chunk(_) => 0,
            Early::Holes(runs) => 64 + std::mem::size_of_val(runs.as_slice()),
            Early::End { .. } => 64,
        }
    }
}

impl EarlyThings {
    /// False when there is no room.
    pub fn keep(&mut self, id: u32, early: Early) -> bool {
        self.cost += early.cost();
        self.by_id.entry(id).or_default().push(early);
        self.cost <= MAX_COST
    }

    pub fn has(&self, id: u32) -> bool {
        self.by_id.contains_key(&id)
    }

    pub fn take(&mut self, id: u32) -> Vec<Early> {
        let all = self.by_id.remove(&id).unwrap_or_default();
        self.cost -= all.iter().map(Early::cost).sum::<usize>();
        all
    }
}
