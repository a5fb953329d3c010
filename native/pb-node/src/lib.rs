//! The addon: thin handles over pb-io. What it exports is typed in native/index.d.ts and imported by
//! src/native/addon.ts alone.

mod error;
pub mod fs;
mod hash;
pub mod session;
mod web;
mod work;

use napi::Env;
use napi_derive::napi;
use pb_io::error::Code;

use crate::error::Failure;

/// The addon's version, equal to the npm package's.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_string()
}

/// From now on no core dump of this process holds anything, of memory or of registers. Throws `internal` where the kernel refuses.
#[napi]
pub fn refuse_dumps(env: Env) -> napi::Result<()> {
    pb_io::process::refuse_dumps().map_err(|errno| {
        let text = format!("PR_SET_DUMPABLE: {errno}");
        Failure::new(Code::Internal, text).into_js(&env)
    })
}
