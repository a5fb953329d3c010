//! What a file is: one `statx` and, for links, one `readlinkat`.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags, openat, readlinkat, statx};
use rustix::io::Errno;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    /// Device, FIFO or socket.
    Other,
}

/// What is kept of an entry's inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    pub kind: Kind,
    pub size: u64,
    /// Nanoseconds since 1970, saturating (years 1677 to 2262).
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    /// When it was made; 0 where the file system does not keep that.
    pub birth_ns: i64,
    /// Permission bits, 07777.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub inode: u64,
    pub device: u64,
    pub nlink: u64,
    /// Allocated, in units of 512 bytes.
    pub blocks: u64,
    /// Where a symbolic link points, as stored; `None` for everything else.
    pub link_target: Option<Vec<u8>>,
}

impl Meta {
    /// Same inode of the same file system.
    pub fn is_same_file(&self, other: &Meta) -> bool {
        self.id() == other.id()
    }

    pub(super) fn id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// Of an open descriptor (`O_PATH` is enough).
pub fn stat_fd(fd: BorrowedFd<'_>) -> Result<Meta, Errno> {
    let raw = statx(fd, "", AtFlags::EMPTY_PATH, WANTED)?;
    let mut meta = from_statx(&raw);
    if meta.kind == Kind::Symlink {
        meta.link_target = Some(readlinkat(fd, "", Vec::new())?.into_bytes());
    }
    Ok(meta)
}

/// Of one name in a directory, never following it.
pub fn stat_at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Meta, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let meta = from_statx(&statx(dir, name, flags, WANTED)?);
    if meta.kind != Kind::Symlink {
        return Ok(meta);
    }
    // A link is pinned by a descriptor so that target and inode belong together.
    stat_fd(std::os::fd::AsFd::as_fd(&pin(dir, name)?))
}

fn pin(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(
        dir,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn from_statx(raw: &Statx) -> Meta {
    let mode = u32::from(raw.stx_mode);
    Meta {
        kind: match FileType::from_raw_mode(mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            _ => Kind::Other,
        },
        size: raw.stx_size,
        mtime_ns: nanos(raw.stx_mtime.tv_sec, raw.stx_mtime.tv_nsec),
        ctime_ns: nanos(raw.stx_ctime.tv_sec, raw.stx_ctime.tv_nsec),
        birth_ns: match StatxFlags::from_bits_retain(raw.stx_mask).contains(StatxFlags::BTIME) {
            true => nanos(raw.stx_btime.tv_sec, raw.stx_btime.tv_nsec),
            false => 0,
        },
        mode: mode & 0o7777,
        uid: raw.stx_uid,
        gid: raw.stx_gid,
        inode: raw.stx_ino,
        device: rustix::fs::makedev(raw.stx_dev_major, raw.stx_dev_minor),
        nlink: u64::from(raw.stx_nlink),
        blocks: raw.stx_blocks,
        link_target: None,
    }
}

fn nanos(seconds: i64, nanos: u32) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(nanos))
}
