//! The list of all files of a receipt, a line of JSON each: `{"path":…,"size":…,"blake3":…}`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use parking_lot::Mutex;

use crate::hash::Hash;

/// See the module.
pub struct Manifest(Mutex<BufWriter<File>>);

impl Manifest {
    /// Creates or truncates the file.
    pub fn create(path: &Path) -> io::Result<Manifest> {
        Ok(Manifest(Mutex::new(BufWriter::new(File::create(path)?))))
    }

    pub(super) fn line(&self, path: &[u8], size: u64, hash: &Hash) -> io::Result<()> {
        let mut text = String::with_capacity(path.len() + 120);
        text.push_str("{\"path\":\"");
        push_json(&mut text, path);
        text.push_str("\",\"size\":");
        text.push_str(&size.to_string());
        text.push_str(",\"blake3\":\"");
        hash.iter().for_each(|b| text.push_str(&format!("{b:02x}")));
        text.push_str("\"}\n");
        self.0.lock().write_all(text.as_bytes())
    }

    pub(super) fn finish(&self) {
        let mut out = self.0.lock();
        let _ = out.flush();
        let _ = out.get_ref().sync_data();
    }
}

/// Bytes that are no UTF-8 become the lone surrogates U+DC80..U+DCFF, as in the rest of the house (PEP 383).
fn push_json(out: &mut String, path: &[u8]) {
    for part in path.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if u32::from(c) < 0x20 || c == '\u{7f}' => {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)))
                }
                c => out.push(c),
            }
        }
        part.invalid()
            .iter()
            .for_each(|b| out.push_str(&format!("\\udc{b:02x}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let mut s = String::new();
        push_json(&mut s, b"a\"\n\xff/\xc3\xa9");
        assert_eq!(s, "a\\\"\\u000a\\udcff/é");
    }
}
