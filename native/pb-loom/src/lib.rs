//! Models of what pb-io's threads share, made of its own sources: `#[path]` takes them as they are, and the crates that are named
//! parking_lot and rustix here are made of loom's parts (`docs/design/0011-threads-and-fairness.md`). A model is run in every order
//! of its threads by tests/models.rs.

// Each model uses a part of what its source offers.
#![allow(dead_code)]

pub mod budget;
#[path = "../../pb-io/src/buffer.rs"]
mod buffer;
mod error;
pub mod gate;
pub mod inbox;
pub mod lanes;
pub mod outbox;
pub mod sync;
mod transport;
