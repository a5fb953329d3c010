//! Entries to send, packed: a million of them are no million objects.
//!
//! Little-endian, one after another: kind u8 (0 file, 1 folder, 2 link, 3 other), root u16, descriptor i32 (-1: none),
//! size u64, mtime i64 (ns), mode u32, uid u32, gid u32, inode u64 (0: none), then source, target and link target, each u16 length and bytes.
//! The writer is `packEntries` in src/native/session.ts.

use std::fs::File;
use std::os::fd::BorrowedFd;

use pb_io::error::Code;
use pb_io::fs::Kind;
use pb_io::send::Entry;

use crate::error::Failure;

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }
    fn string(&mut self) -> Option<Vec<u8>> {
        let n = u16::from_le_bytes(self.array()?);
        Some(self.bytes(usize::from(n))?.to_vec())
    }
}

/// Unpacks a batch. Descriptors are duplicated: the caller keeps its own.
pub fn entries(packed: &[u8]) -> Result<Vec<Entry>, Failure> {
    let mut cursor = Cursor(packed);
    let mut all = Vec::new();
    while !cursor.0.is_empty() {
        let (entry, fd) = entry(&mut cursor)
            .ok_or_else(|| Failure::new(Code::InvalidArgument, "a truncated batch of entries"))?;
        let pipe = if fd < 0 { None } else { Some(duplicate(fd)?) };
        all.push(Entry { pipe, ..entry });
    }
    Ok(all)
}

fn entry(c: &mut Cursor<'_>) -> Option<(Entry, i32)> {
    let kind = match c.array::<1>()?[0] {
        0 => Kind::File,
        1 => Kind::Directory,
        2 => Kind::Symlink,
        _ => Kind::Other,
    };
    let root = usize::from(u16::from_le_bytes(c.array()?));
    let fd = i32::from_le_bytes(c.array()?);
    let size = u64::from_le_bytes(c.array()?);
    let mtime_ns = i64::from_le_bytes(c.array()?);
    let mode = u32::from_le_bytes(c.array()?);
    let uid = u32::from_le_bytes(c.array()?);
    let gid = u32::from_le_bytes(c.array()?);
    let inode = u64::from_le_bytes(c.array()?);
    let (source, target, link_target) = (c.string()?, c.string()?, c.string()?);
    Some((
        Entry {
            root,
            source,
            target,
            kind,
            size,
            mtime_ns,
            mode,
            uid,
            gid,
            inode,
            link_target,
            pipe: None,
        },
        fd,
    ))
}

/// A descriptor of this process, duplicated.
pub fn duplicate(fd: i32) -> Result<File, Failure> {
    // SAFETY: the descriptor is borrowed only for this call; a number that is not open makes the duplication fail with EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let failed =
        |e: std::io::Error| Failure::new(Code::InvalidArgument, format!("descriptor {fd}: {e}"));
    Ok(File::from(borrowed.try_clone_to_owned().map_err(failed)?))
}
