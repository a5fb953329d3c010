//! Socket options that rustix does not have.

use std::io;
use std::os::fd::RawFd;

/// Sets an integer option.
pub(crate) fn set(fd: RawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value pointed to is an i32 of `len` bytes that outlives the call; the kernel checks the descriptor.
    let r = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), len) };
    if r == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The socket is readable once it holds this many bytes (or has ended).
pub(crate) fn set_receive_low_water(fd: RawFd, bytes: i32) -> io::Result<()> {
    set(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, bytes)
}
