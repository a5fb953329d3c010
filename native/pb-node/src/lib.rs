use napi_derive::napi;
/// The addon version, equal to the npm package version.
#[napi] pub fn version() -> String { env!("CARGO_PKG_VERSION").to_string() }
