//! The file system below a root: every path is bytes, relative to a directory descriptor, and cannot leave it.
//!
//! Two kinds of root: [`Resolve::Beneath`] for what a server shows to others (no name, link or race leads out),
//! and [`Resolve::Host`] for the user's own files (links lead where they lead).

mod change;
mod error;
mod list;
pub mod meta;
mod path;
mod remove;
mod resolve;
mod root;
pub mod sparse;
mod stat;
#[cfg(test)]
pub(crate) mod testing;
mod walk;

pub use change::sync_dir;
pub use error::FsError;
pub use list::DirReader;
pub use path::{MAX_NAME, MAX_PATH, components, join, normalise, split};
pub use remove::Removed;
pub use root::{Resolve, Root, Space};
pub use stat::{Kind, Meta, stat_at, stat_fd};
pub use walk::Walker;
