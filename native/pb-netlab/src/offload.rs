//! Switches an interface's offloads off, so that what the emulator sees is what a wire would carry: packets of at most the MTU
//! with their checksums in place, not super-packets that the receiver's kernel is told to trust.

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketType, socket};
use thiserror::Error;

/// linux/sockios.h
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// linux/ethtool.h. Segmentation before what it needs, so that no step is undone by another.
const SWITCHES: [(u32, &str); 5] = [
    (0x1f, "TSO"),
    (0x24, "GSO"),
    (0x2c, "GRO"),
    (0x17, "TX checksums"),
    (0x19, "scatter-gather"),
];

#[derive(Debug, Error)]
#[error("interface {interface}: cannot switch {what} off: {source}")]
pub struct OffloadError {
    interface: String,
    what: &'static str,
    source: io::Error,
}

/// `struct ethtool_value`
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Needs CAP_NET_ADMIN in the interface's namespace, which must be the caller's.
pub fn switch_off(interface: &str) -> Result<(), OffloadError> {
    for (command, what) in SWITCHES {
        set(interface, command).map_err(|source| OffloadError {
            interface: interface.to_owned(),
            what,
            source,
        })?;
    }
    Ok(())
}

fn set(interface: &str, command: u32) -> io::Result<()> {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut value = EthtoolValue { command, data: 0 };
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { zeroed() };
    let room = request.ifr_name.len() - 1;
    if interface.len() > room {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: SIOCETHTOOL takes an `ifreq` whose data points at the command's structure, here `ethtool_value`; both live through
    // the call.
    let status = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
