//! The addon: thin handles over pb-io. What it exports is typed in native/index.d.ts and imported by
//! src/native/addon.ts alone.

mod error;
pub mod fs;
pub mod session;
mod work;

use napi_derive::napi;

/// The addon's version, equal to the npm package's.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}
