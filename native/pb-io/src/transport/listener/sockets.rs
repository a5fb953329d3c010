//! Binding TCP and UDP to one port number.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_to, getsockname, listen, socket_with,
    sockopt,
};

use crate::error::Code;
use crate::transport::TransportError;

/// A port, bound for both.
pub(super) struct Sockets {
    pub tcp: OwnedFd,
    pub udp: OwnedFd,
    pub local: SocketAddr,
}

/// The kernel picks a free TCP port; that UDP has it too may take a few tries.
const TRIES: usize = 16;
/// As many connections as may wait for authentication.
const BACKLOG: i32 = 1024;

/// Binds TCP first, then UDP to the same number.
pub(super) fn bind(addr: SocketAddr) -> Result<Sockets, TransportError> {
    let mut last = Errno::ADDRINUSE;
    for _ in 0..if addr.port() == 0 { TRIES } else { 1 } {
        match pair(addr) {
            Ok(sockets) => return Ok(sockets),
            Err(e) => last = e,
        }
    }
    let code = match last {
        Errno::ADDRINUSE => Code::Exists,
        Errno::ACCESS => Code::PermissionDenied,
        Errno::ADDRNOTAVAIL => Code::InvalidArgument,
        _ => Code::IoError,
    };
    Err(TransportError::new(
        code,
        format!("cannot listen on {addr}: {}", std::io::Error::from(last)),
    ))
}

fn pair(addr: SocketAddr) -> Result<Sockets, Errno> {
    let tcp = bound(addr, SocketType::STREAM)?;
    listen(&tcp, BACKLOG)?;
    let local = SocketAddr::try_from(getsockname(&tcp)?).map_err(|_| Errno::AFNOSUPPORT)?;
    let udp = bound(local, SocketType::DGRAM)?;
    Ok(Sockets { tcp, udp, local })
}

fn bound(addr: SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let family = if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket_with(
        family,
        kind,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !addr.ip().is_unspecified())?;
    }
    match kind {
        SocketType::STREAM => sockopt::set_socket_reuseaddr(&socket, true)?,
        // Each lane gets a socket of its own on this port, connected to its client.
        _ => sockopt::set_socket_reuseport(&socket, true)?,
    }
    bind_to(&socket, &addr)?;
    Ok(socket)
}
