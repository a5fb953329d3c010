//! File operations below a root, as promises.

mod pack;
mod root;
mod walker;

pub use root::NativeRoot;
pub use walker::NativeWalker;
