//! Times, permissions and owners, set on descriptors or on names that are never followed.
//!
//! Owner first, mode second, times last: the kernel clears setuid on chown, and writing changes the time.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, chownat, fchmod, fchown,
    futimens, utimensat,
};
use rustix::io::Errno;

/// Whether setuid, setgid and sticky survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialBits {
    Drop,
    Keep,
}

/// Sets the modification time, nanoseconds since 1970; leaves the access time.
pub fn set_times(fd: impl AsFd, mtime_ns: i64) -> Result<(), Errno> {
    futimens(fd, &modified(mtime_ns))
}

/// Like [`set_times`] for a name in a directory; a link's own time, not its target's.
pub fn set_times_at(dir: impl AsFd, name: &[u8], mtime_ns: i64) -> Result<(), Errno> {
    utimensat(dir, name, &modified(mtime_ns), AtFlags::SYMLINK_NOFOLLOW)
}

/// Sets permission bits.
pub fn set_mode(fd: impl AsFd, mode: u32, special: SpecialBits) -> Result<(), Errno> {
    let mask = match special {
        SpecialBits::Drop => 0o777,
        SpecialBits::Keep => 0o7777,
    };
    fchmod(fd, Mode::from_raw_mode(mode & mask))
}

/// Sets owner and group.
pub fn set_owner(fd: impl AsFd, uid: u32, gid: u32) -> Result<(), Errno> {
    let (uid, gid) = ids(uid, gid)?;
    fchown(fd, Some(uid), Some(gid))
}

/// Like [`set_owner`] for a name in a directory; a link's own owner, not its target's.
pub fn set_owner_at(dir: impl AsFd, name: &[u8], uid: u32, gid: u32) -> Result<(), Errno> {
    let (uid, gid) = ids(uid, gid)?;
    chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Sets access and modification time of an `O_PATH` descriptor, `None`: now.
pub(super) fn touch(fd: BorrowedFd<'_>, mtime_ns: Option<i64>) -> Result<(), Errno> {
    let stamp = mtime_ns.map_or(
        Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        },
        timespec,
    );
    let times = Timestamps {
        last_access: stamp,
        last_modification: stamp,
    };
    match utimensat(fd, "", &times, AtFlags::EMPTY_PATH) {
        // AT_EMPTY_PATH came to utimensat with Linux 5.8.
        Err(Errno::INVAL) => {
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            utimensat(CWD, path.as_str(), &times, AtFlags::empty())
        }
        other => other,
    }
}

fn modified(mtime_ns: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: timespec(mtime_ns),
    }
}

fn timespec(ns: i64) -> Timespec {
    Timespec {
        tv_sec: ns.div_euclid(1_000_000_000),
        tv_nsec: ns.rem_euclid(1_000_000_000),
    }
}

/// The all-ones id means "leave alone" to the kernel: refused, for a file must not keep root by accident.
fn ids(uid: u32, gid: u32) -> Result<(Uid, Gid), Errno> {
    if uid == u32::MAX || gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
}

#[cfg(test)]
mod tests {
    use super::super::stat::stat_fd;
    use super::super::testing::Scratch;
    use super::*;

    #[test]
    fn drops_setuid_setgid_and_sticky_unless_asked() {
        let scratch = Scratch::new();
        let file = std::fs::File::create(scratch.path().join("f")).unwrap();
        set_mode(&file, 0o7755, SpecialBits::Drop).unwrap();
        assert_eq!(stat_fd(file.as_fd()).unwrap().mode, 0o755);
        set_mode(&file, 0o4755, SpecialBits::Keep).unwrap();
        assert_eq!(stat_fd(file.as_fd()).unwrap().mode, 0o4755);
    }

    #[test]
    fn keeps_nanoseconds_also_before_1970() {
        let scratch = Scratch::new();
        let file = std::fs::File::create(scratch.path().join("f")).unwrap();
        for ns in [0, 1, -1, 1_700_000_000_123_456_789, -86_400_000_000_001] {
            set_times(&file, ns).unwrap();
            assert_eq!(stat_fd(file.as_fd()).unwrap().mtime_ns, ns);
        }
    }

    #[test]
    fn a_links_time_is_its_own() {
        let scratch = Scratch::new();
        std::fs::write(scratch.path().join("f"), b"x").unwrap();
        std::os::unix::fs::symlink("f", scratch.path().join("l")).unwrap();
        let dir = std::fs::File::open(scratch.path()).unwrap();
        set_times_at(&dir, b"l", 42).unwrap();
        let stat = |name: &[u8]| super::super::stat::stat_at(dir.as_fd(), name).unwrap();
        assert_eq!(stat(b"l").mtime_ns, 42);
        assert_ne!(stat(b"f").mtime_ns, 42);
    }

    #[test]
    fn refuses_the_id_that_means_nothing() {
        let scratch = Scratch::new();
        let file = std::fs::File::create(scratch.path().join("f")).unwrap();
        assert_eq!(set_owner(&file, u32::MAX, 0), Err(Errno::INVAL));
    }
}
