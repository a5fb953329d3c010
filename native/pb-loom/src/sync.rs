//! What pb-io's module of this name is here.

pub use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering};
