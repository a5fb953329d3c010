//! Parts of earlier runs: opened only where they are what was recorded, and never through a link.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use pb_proto::range_set::RangeSet;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{PartRecord, Runs, identity_of};
use crate::fs::{Kind, Meta, stat_fd};
use crate::hash::{Hash, chunk_count};
use crate::recv::temp::Temp;

/// Chunks are 64 KiB to 1 MiB.
const CHUNK_BYTES: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 20;

/// What a record says of the chunks of its part.
pub(crate) struct Durable<'a> {
    pub have: RangeSet,
    pub runs: Vec<(u64, &'a [Hash])>,
}

impl PartRecord {
    /// Its chunks; `None` for a record that no file can have.
    pub(crate) fn durable(&self) -> Option<Durable<'_>> {
        let sound = CHUNK_BYTES.contains(&self.chunk_bytes) && self.chunk_bytes.is_power_of_two();
        let total = chunk_count(self.size, self.chunk_bytes.max(1));
        // The root of a file that is one chunk does not follow from its chaining value.
        if !sound || total < 2 {
            return None;
        }
        let mut all = Durable {
            have: RangeSet::new(),
            runs: Vec::new(),
        };
        for run in Runs(&self.chunks) {
            let (first, values) = run.filter(|r| !r.1.is_empty())?;
            let end = first.checked_add(values.len() as u64)?;
            let mut new = 0;
            all.have
                .insert_range(first, end - 1, |a, b| new += b - a + 1);
            if end > total || new != end - first {
                return None;
            }
            all.runs.push((first, values));
        }
        Some(all)
    }

    /// Bytes up to the end of its last durable chunk.
    fn reach(&self, have: &RangeSet) -> u64 {
        let end = have.max().map_or(0, |last| (last + 1) * self.chunk_bytes);
        end.min(self.size)
    }
}

/// Opens a part for writing, as long as it is the file that the record names; what lies between its durable chunks is
/// made a hole again, as nobody knows what is there.
pub(crate) fn adopt(
    part: &PartRecord,
    have: &RangeSet,
    (folder, name): (Arc<OwnedFd>, &[u8]),
) -> Option<(Temp, Adopted)> {
    let temp = Temp::adopt(folder, &part.temporary, name)?;
    let file = open_part(&temp, part)?;
    if stat_fd(file.as_fd()).ok()?.size < part.reach(have) {
        return None;
    }
    rustix::fs::ftruncate(&file, part.size).ok()?;
    let blank = clear_gaps(&file, part, have).is_ok();
    Some((temp, Adopted { file, blank }))
}

/// An open part.
pub(crate) struct Adopted {
    pub file: File,
    /// Between its durable chunks there are holes; else anything.
    pub blank: bool,
}

/// Removes a part, if it is what the record names; true when it did.
pub(crate) fn remove(part: &PartRecord, folder: Arc<OwnedFd>) -> bool {
    let Some(temp) = Temp::adopt(folder, &part.temporary, b"") else {
        return false;
    };
    // Whatever its mode: its name and identity say enough.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(temp.folder(), temp.temporary(), flags, Mode::empty());
    let is_it = found.is_ok_and(|fd| stat_fd(fd.as_fd()).is_ok_and(|m| is_part(&m, part)));
    if is_it {
        temp.discard();
    }
    is_it
}

fn is_part(there: &Meta, part: &PartRecord) -> bool {
    there.kind == Kind::File
        && there.nlink == 1
        && there.uid == geteuid().as_raw()
        && identity_of(there) == part.identity()
}

fn open_part(temp: &Temp, part: &PartRecord) -> Option<File> {
    const BASE: OFlags = OFlags::NOFOLLOW
        .union(OFlags::NONBLOCK)
        .union(OFlags::NOCTTY)
        .union(OFlags::CLOEXEC);
    let open = |access: OFlags| -> Result<OwnedFd, Errno> {
        let fd = openat(
            temp.folder(),
            temp.temporary(),
            BASE | access,
            Mode::empty(),
        )?;
        match is_part(&stat_fd(fd.as_fd())?, part) {
            true => Ok(fd),
            false => Err(Errno::STALE),
        }
    };
    let private = Mode::RUSR | Mode::WUSR;
    let fd = match open(OFlags::RDWR) {
        // It had its final permissions already (0444 and not root).
        Err(Errno::ACCESS) => open(OFlags::RDONLY)
            .and_then(|fd| rustix::fs::fchmod(fd, private))
            .and_then(|()| open(OFlags::RDWR)),
        other => other,
    };
    let file = File::from(fd.ok()?);
    rustix::fs::fchmod(&file, private).ok()?;
    Some(file)
}

fn clear_gaps(file: &File, part: &PartRecord, have: &RangeSet) -> Result<(), Errno> {
    let mut gaps = Vec::new();
    let mut all = have.clone();
    let total = chunk_count(part.size, part.chunk_bytes);
    all.insert_range(0, total - 1, |a, b| gaps.push((a, b + 1)));
    for (from, to) in gaps {
        let (from, to) = (
            from * part.chunk_bytes,
            (to * part.chunk_bytes).min(part.size),
        );
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(file, hole, from, to - from)?;
    }
    Ok(())
}
