//! Atomics by which threads tell each other something, under a name that pb-loom's models replace.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
