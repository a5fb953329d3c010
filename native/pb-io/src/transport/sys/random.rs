//! Randomness from the kernel. The AEAD library's own generator would first gather jitter for tens of milliseconds.

/// Fills 8 bytes that nobody can guess.
pub(crate) fn random() -> [u8; 8] {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is writable for its length. Without flags the call blocks until the pool is ready and then
    // gives up to 256 bytes whole.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert_eq!(got, 8, "the kernel gives randomness");
    bytes
}
