//! The system calls that change something another process, or the next run, can see.

/// How the target of a call is told by its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Argument 0 is a descriptor.
    Descriptor,
    /// A path at argument 0.
    Path,
    /// A folder's descriptor at argument 0, a path at argument 1.
    At,
    /// Two pairs of them: 0 and 1, 2 and 3.
    TwoAt,
    /// Two paths.
    TwoPaths,
    /// A text at 0, then a folder's descriptor and a path: `symlinkat`.
    TextAt,
    /// The descriptor written to is at argument 2.
    Third,
    /// `openat`: `At`, if the flags at argument 2 make the file.
    OpenAt,
    /// `openat2`: `At`, if the flags at argument 2, in memory, make the file.
    OpenAt2,
}

pub struct Call {
    pub number: i64,
    pub name: &'static str,
    pub target: Target,
}

const fn call(number: i64, name: &'static str, target: Target) -> Call {
    Call {
        number,
        name,
        target,
    }
}

use Target::{At, Descriptor, OpenAt, OpenAt2, Path, TextAt, Third, TwoAt, TwoPaths};

/// In no order. Calls that only some architectures have are in `OLD`.
const CALLS: &[Call] = &[
    call(libc::SYS_write, "write", Descriptor),
    call(libc::SYS_pwrite64, "pwrite64", Descriptor),
    call(libc::SYS_writev, "writev", Descriptor),
    call(libc::SYS_pwritev, "pwritev", Descriptor),
    call(libc::SYS_pwritev2, "pwritev2", Descriptor),
    call(libc::SYS_sendfile, "sendfile", Descriptor),
    call(libc::SYS_splice, "splice", Third),
    call(libc::SYS_copy_file_range, "copy_file_range", Third),
    call(libc::SYS_openat, "openat", OpenAt),
    call(libc::SYS_openat2, "openat2", OpenAt2),
    call(libc::SYS_ftruncate, "ftruncate", Descriptor),
    call(libc::SYS_truncate, "truncate", Path),
    call(libc::SYS_fallocate, "fallocate", Descriptor),
    call(libc::SYS_fsync, "fsync", Descriptor),
    call(libc::SYS_fdatasync, "fdatasync", Descriptor),
    call(libc::SYS_syncfs, "syncfs", Descriptor),
    call(libc::SYS_sync_file_range, "sync_file_range", Descriptor),
    call(libc::SYS_renameat, "renameat", TwoAt),
    call(libc::SYS_renameat2, "renameat2", TwoAt),
    call(libc::SYS_linkat, "linkat", TwoAt),
    call(libc::SYS_symlinkat, "symlinkat", TextAt),
    call(libc::SYS_unlinkat, "unlinkat", At),
    call(libc::SYS_mkdirat, "mkdirat", At),
    call(libc::SYS_fchmod, "fchmod", Descriptor),
    call(libc::SYS_fchmodat, "fchmodat", At),
    call(libc::SYS_fchown, "fchown", Descriptor),
    call(libc::SYS_fchownat, "fchownat", At),
    call(libc::SYS_utimensat, "utimensat", At),
    call(libc::SYS_fsetxattr, "fsetxattr", Descriptor),
    call(libc::SYS_sendto, "sendto", Descriptor),
    call(libc::SYS_sendmsg, "sendmsg", Descriptor),
    call(libc::SYS_sendmmsg, "sendmmsg", Descriptor),
];

#[cfg(target_arch = "x86_64")]
const OLD: &[Call] = &[
    call(libc::SYS_rename, "rename", TwoPaths),
    call(libc::SYS_link, "link", TwoPaths),
    call(libc::SYS_symlink, "symlink", TwoPaths),
    call(libc::SYS_unlink, "unlink", Path),
    call(libc::SYS_mkdir, "mkdir", Path),
    call(libc::SYS_rmdir, "rmdir", Path),
    call(libc::SYS_chmod, "chmod", Path),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Call] = &[];

pub fn all() -> impl Iterator<Item = &'static Call> {
    CALLS.iter().chain(OLD)
}

pub fn find(number: i64) -> Option<&'static Call> {
    all().find(|call| call.number == number)
}
