//! Packetboat's protocol core: wire codecs, ranges, loss recovery, congestion control, pacing, path MTU.
//!
//! No I/O and no clock: time comes in as [`time::Instant`], packets go out as plans. The same code runs under the
//! engine's threads and under the seeded simulator in `tests/`.
#![forbid(unsafe_code)]

pub mod cc;
pub mod error;
pub mod fuzzing;
pub mod lane;
pub mod message;
mod mtud;
mod pacer;
pub mod range_set;
pub mod rng;
pub mod sample;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
pub mod units;
pub mod wire;
