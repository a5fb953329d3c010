//! Packetboat's engine: files, sockets, transports, and the sending and receiving pipelines.
//!
//! See `docs/design/0001-units-lanes-sessions.md` for the shape and `docs/PROTOCOL.md` for the bytes.

pub mod buffer;
pub mod copies;
pub mod error;
pub mod fs;
pub mod hash;
pub mod job;
mod pipe;
pub mod process;
pub mod pump;
pub mod recv;
pub mod send;
pub mod session;
pub mod source;
mod sync;
pub mod transport;
pub mod web;
