//! BLAKE3 of what JavaScript has read again.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use pb_io::hash::Running;

/// Of a file that is read from its beginning to its end.
#[napi]
pub struct NativeHasher {
    hash: Running,
}

#[napi]
impl NativeHasher {
    #[napi(constructor)]
    pub fn new() -> NativeHasher {
        NativeHasher {
            hash: Running::default(),
        }
    }

    #[napi]
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// The root, 32 bytes.
    #[napi]
    pub fn root(&self) -> Uint8Array {
        self.hash.root().to_vec().into()
    }
}
