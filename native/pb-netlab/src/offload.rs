//! Switches an interface's offloads, so that what the emulator sees is what a wire would carry: packets of at most the MTU with
//! their checksums in place, not super-packets that the receiver's kernel is told to trust.
//!
//! A host's end cuts and joins as a NIC does: super-packets of its programs are cut when they leave (GSO), packets that arrive are
//! joined (GRO). GRO also gives a veth its own receive context (NAPI): without it all that the receiving host does with a packet,
//! TCP's recovery included, happens within the call that delivered it, which is the emulator's.

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketType, socket};
use thiserror::Error;

/// linux/sockios.h
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Whose end of a cable an interface is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// The emulator's, or a host's whose packets pass netem: nothing is joined, or netem would lose it as one. A veth only hands
    /// packets over to its peer's NAPI when it cannot carry super-packets itself.
    Wire,
    Host,
}

impl Kind {
    pub fn named(name: &str) -> Option<Kind> {
        match name {
            "wire" => Some(Kind::Wire),
            "host" => Some(Kind::Host),
            _ => None,
        }
    }
}

struct Switch {
    /// linux/ethtool.h
    command: u32,
    what: &'static str,
    on_host: bool,
}

const fn switch_of(command: u32, what: &'static str, on_host: bool) -> Switch {
    Switch {
        command,
        what,
        on_host,
    }
}

/// Scatter-gather before GSO, which needs it; when both go off, the kernel takes GSO along.
const SWITCHES: [Switch; 5] = [
    switch_of(0x1f, "TSO", false),
    switch_of(0x17, "TX checksums", false),
    switch_of(0x19, "scatter-gather", true),
    switch_of(0x24, "GSO", true),
    switch_of(0x2c, "GRO", true),
];

#[derive(Debug, Error)]
#[error("interface {interface}: cannot switch {what}: {source}")]
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
pub fn switch(interface: &str, kind: Kind) -> Result<(), OffloadError> {
    for Switch {
        command,
        what,
        on_host,
    } in &SWITCHES
    {
        let on = *on_host && matches!(kind, Kind::Host);
        set(interface, *command, on).map_err(|source| OffloadError {
            interface: interface.to_owned(),
            what,
            source,
        })?;
    }
    Ok(())
}

fn set(interface: &str, command: u32, on: bool) -> io::Result<()> {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut value = EthtoolValue {
        command,
        data: u32::from(on),
    };
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
