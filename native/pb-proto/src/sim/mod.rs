//! A seeded virtual network with two ends of some lanes, on a virtual clock: the same seed gives the same run, event
//! for event.

mod link;
mod rival;
mod session;
mod world;

pub use link::{Bursts, Fates, Path};
pub use rival::{Rival, RivalKind};
pub use session::{Load, Source};

use crate::cc::ControllerKind;
use crate::lane::PathHint;
use crate::sample::PathSample;
use crate::time::{Instant, MS, Nanos};

/// A run begins here, so that no time is 0.
const START: Instant = Instant(MS);

/// A network, what moves over it, and what happens meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub seed: u64,
    pub lanes: u8,
    /// One for each lane, the last one for those behind it.
    pub controllers: Vec<ControllerKind>,
    /// When the client opens each; those behind the last begin at once.
    pub lanes_from: Vec<Instant>,
    /// Client to server, server to client. All lanes share them.
    pub paths: [Path; 2],
    /// Of the client and the server.
    pub loads: [Load; 2],
    /// Largest datagram that both ends try.
    pub max_datagram: u16,
    pub rekey_after: Option<u64>,
    /// What both ends remember of the path.
    pub history: Option<PathHint>,
    /// The client's address changes.
    pub rebind_at: Option<Instant>,
    /// Other people's flows, from the client's side to the server's.
    pub rivals: Vec<Rival>,
    /// Everything must be done by then.
    pub deadline: Nanos,
    /// Ends the run early, done or not: for measuring rates.
    pub stop_at: Option<Instant>,
    /// A [`Mark`] about this often; `None`: none.
    pub mark_every: Option<Nanos>,
}

/// How far a run was at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub at: Instant,
    /// As in [`Outcome`].
    pub delivered: Vec<u64>,
    pub rivals: Vec<u64>,
    /// Bytes that wait before the wire from client to server.
    pub queued: u64,
    /// The client's lanes.
    pub samples: Vec<PathSample>,
}

/// A broken promise: what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(pub String);

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of every event, in order.
    pub hash: u64,
    /// When every unit was acknowledged and had arrived.
    pub done_at: Instant,
    /// Bytes of units that arrived at the server, by lane.
    pub delivered: Vec<u64>,
    /// Bytes of user data of the rivals that arrived.
    pub rivals: Vec<u64>,
    pub fates: [Fates; 2],
    pub marks: Vec<Mark>,
    /// The client's lanes at the end.
    pub samples: Vec<PathSample>,
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> Result<Outcome, Failure> {
    world::World::new(scenario).run()
}
