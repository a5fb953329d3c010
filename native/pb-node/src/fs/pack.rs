//! Entries as bytes: one buffer for a thousand entries instead of ten thousand JavaScript values.
//!
//! A batch is records back to back; integers are little-endian. Decoded by src/native/entries.ts.
//!
//! ```text
//! entry   u8 kind (0 file, 1 directory, 2 symlink, 3 other)
//!         u16 path length, u16 link target length
//!         u32 mode, u32 uid, u32 gid
//!         u64 size, i64 mtime_ns, u64 inode, u64 device
//!         path, link target
//! error   u8 255
//!         u16 path length, u8 code length, u8 op length
//!         i32 errno (0: none)
//!         path, code, op
//! ```

use pb_io::fs::{FsError, Kind, Meta};

const ERROR: u8 = 255;

/// Lengths fit in 16 bits: the kernel bounds paths and link targets at 4,096 bytes.
fn length(bytes: &[u8]) -> (u16, &[u8]) {
    let n = bytes.len().min(usize::from(u16::MAX));
    (n as u16, &bytes[..n])
}

/// Appends an entry.
pub fn entry(out: &mut Vec<u8>, path: &[u8], meta: &Meta) {
    let (path_len, path) = length(path);
    let (target_len, target) = length(meta.link_target.as_deref().unwrap_or_default());
    out.push(match meta.kind {
        Kind::File => 0,
        Kind::Directory => 1,
        Kind::Symlink => 2,
        Kind::Other => 3,
    });
    out.extend_from_slice(&path_len.to_le_bytes());
    out.extend_from_slice(&target_len.to_le_bytes());
    for n in [meta.mode, meta.uid, meta.gid] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    let size = if meta.kind == Kind::File {
        meta.size
    } else {
        0
    };
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&meta.mtime_ns.to_le_bytes());
    out.extend_from_slice(&meta.inode.to_le_bytes());
    out.extend_from_slice(&meta.device.to_le_bytes());
    out.extend_from_slice(path);
    out.extend_from_slice(target);
}

/// Appends an error.
pub fn error(out: &mut Vec<u8>, error: &FsError) {
    let (path_len, path) = length(&error.path);
    let (code, op) = (error.code.as_str(), error.op);
    out.push(ERROR);
    out.extend_from_slice(&path_len.to_le_bytes());
    out.push(code.len() as u8);
    out.push(op.len() as u8);
    let errno = error.source.map_or(0, |errno| errno.raw_os_error());
    out.extend_from_slice(&errno.to_le_bytes());
    out.extend_from_slice(path);
    out.extend_from_slice(code.as_bytes());
    out.extend_from_slice(op.as_bytes());
}
