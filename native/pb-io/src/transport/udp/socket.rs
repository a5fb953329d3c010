//! A lane's socket: connected, so that the kernel sorts its packets by 4-tuple and GRO merges its trains.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use pb_proto::lane::config::MAX_DATAGRAM;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};

use crate::transport::LaneOptions;
use crate::transport::sys::sockopt::set;
use crate::transport::sys::udp::{Batch, send};

/// ECT(0): this path's packets may be marked instead of dropped (RFC 3168).
const ECT_0: u8 = 0b10;
/// IP and UDP headers.
const HEADERS_V4: u32 = 28;
const HEADERS_V6: u32 = 48;
/// How long a full socket buffer is waited for before the train counts as lost.
const FULL_MS: i64 = 20;

/// A socket of one lane.
pub(super) struct Socket {
    fd: OwnedFd,
    pub peer: SocketAddr,
    /// The kernel and the device of this path take trains.
    segmentation: bool,
}

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// With the kernel, or lost on the way: recovery tells.
    Gone,
    /// Datagrams of this size do not fit the path.
    TooLarge,
    /// The local address or route is gone.
    NoRoute,
}

impl Socket {
    /// A client's socket, on a free port.
    pub(super) fn client(peer: SocketAddr, options: &LaneOptions) -> Result<Socket, Errno> {
        let fd = open(peer, options)?;
        connect(&fd, &peer)?;
        Ok(Socket {
            fd,
            peer,
            segmentation: options.segmentation,
        })
    }

    /// A server's socket for one lane: on the listener's address and port, connected to the client.
    pub(super) fn server(
        local: SocketAddr,
        peer: SocketAddr,
        options: &LaneOptions,
    ) -> Result<Socket, Errno> {
        let fd = open(peer, options)?;
        sockopt::set_socket_reuseport(&fd, true)?;
        bind(&fd, &local)?;
        connect(&fd, &peer)?;
        Ok(Socket {
            fd,
            peer,
            segmentation: options.segmentation,
        })
    }

    /// Takes what is in the socket's queue, with its senders.
    pub(super) fn strays(&self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut batch = Batch::new(1);
        let mut strays = Vec::new();
        while batch.receive(self.fd.as_fd(), true).is_ok_and(|n| n > 0) {
            for (bytes, meta) in batch.messages() {
                let Some(from) = meta.from else { continue };
                strays.extend(bytes.chunks(meta.segment).map(|d| (from, d.to_vec())));
            }
        }
        strays
    }

    /// Sends to another address from now on. What the path could do is to be found out again.
    pub(super) fn reconnect(
        &mut self,
        peer: SocketAddr,
        options: &LaneOptions,
    ) -> Result<(), Errno> {
        connect(&self.fd, &peer)?;
        self.peer = peer;
        self.segmentation = options.segmentation;
        Ok(())
    }

    /// Largest payload that the interface takes in one packet.
    pub(super) fn max_datagram(&self, options: &LaneOptions) -> u16 {
        let by_mtu = match self.peer.ip() {
            IpAddr::V4(_) => sockopt::ip_mtu(&self.fd).map(|m| m.saturating_sub(HEADERS_V4)),
            IpAddr::V6(_) => sockopt::ipv6_mtu(&self.fd).map(|m| m.saturating_sub(HEADERS_V6)),
        };
        let by_mtu = by_mtu.unwrap_or(1452).min(u32::from(MAX_DATAGRAM)) as u16;
        options.max_datagram.unwrap_or(MAX_DATAGRAM).min(by_mtu)
    }

    /// True when several packets can leave in one call.
    pub(super) fn takes_trains(&self) -> bool {
        self.segmentation
    }

    /// Sends `bytes` as datagrams of `size` bytes, the last of which may be shorter.
    pub(super) fn send(&mut self, bytes: &[u8], size: usize) -> Sent {
        let trains = self.segmentation;
        if bytes.len() > size && trains {
            match self.send_once(&[IoSlice::new(bytes)], Some(size as u16)) {
                // The device has no checksum offload, IPsec is in the way, or the kernel is too old.
                Err(Errno::IO | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOPROTOOPT) => {
                    self.segmentation = false
                }
                sent => return outcome(sent),
            }
        }
        let mut worst = Sent::Gone;
        for datagram in bytes.chunks(size) {
            match outcome(self.send_once(&[IoSlice::new(datagram)], None)) {
                Sent::Gone => {}
                bad => worst = bad,
            }
        }
        if worst == Sent::TooLarge {
            // The size was at fault, not the train: some kernels say EINVAL to both.
            self.segmentation = trains;
        }
        worst
    }

    /// Sends one datagram whose bytes are in several places.
    pub(super) fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> Sent {
        outcome(self.send_once(pieces, None))
    }

    fn send_once(&self, parts: &[IoSlice<'_>], segment: Option<u16>) -> Result<usize, Errno> {
        let mut waited = false;
        loop {
            match send(self.fd.as_fd(), parts, segment) {
                Err(Errno::INTR) => {}
                // An ICMP error to an earlier packet: reported once, then the send goes through.
                Err(Errno::CONNREFUSED) if !waited => waited = true,
                Err(Errno::AGAIN | Errno::NOBUFS) if !waited => {
                    waited = true;
                    let full = Timespec {
                        tv_sec: 0,
                        tv_nsec: FULL_MS * 1_000_000,
                    };
                    let _ = poll(&mut [PollFd::new(&self.fd, PollFlags::OUT)], Some(&full));
                }
                other => return other,
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn outcome(sent: Result<usize, Errno>) -> Sent {
    match sent {
        Err(Errno::MSGSIZE) => Sent::TooLarge,
        Err(
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::ADDRNOTAVAIL
            | Errno::NETDOWN
            | Errno::INVAL,
        ) => Sent::NoRoute,
        Ok(_) | Err(_) => Sent::Gone,
    }
}

fn open(peer: SocketAddr, options: &LaneOptions) -> Result<OwnedFd, Errno> {
    let family = if peer.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let fd = socket_with(
        family,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    buffers(&fd, options.socket_buffer);
    // Each of these is a help and none a condition: an old kernel goes without.
    let raw = fd.as_raw_fd();
    let _ = set(raw, libc::SOL_UDP, libc::UDP_GRO, 1);
    let _ = set(raw, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
    if peer.is_ipv4() {
        let _ = sockopt::set_ip_tos(&fd, ECT_0);
        let _ = sockopt::set_ip_recvtos(&fd, true);
        let _ = set(
            raw,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
        );
    } else {
        let _ = sockopt::set_ipv6_tclass(&fd, u32::from(ECT_0));
        let _ = sockopt::set_ipv6_recvtclass(&fd, true);
        let _ = set(
            raw,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_PROBE,
        );
    }
    Ok(fd)
}

/// Asks for large buffers: past the administrator's limit where we may, else up to it.
fn buffers(fd: &OwnedFd, bytes: usize) {
    if sockopt::set_socket_recv_buffer_size_force(fd, bytes).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(fd, bytes);
    }
    if sockopt::set_socket_send_buffer_size_force(fd, bytes).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(fd, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refused_train_leaves_as_single_datagrams_and_that_is_remembered() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let peer = receiver.local_addr().unwrap();
        let mut socket = Socket::client(peer, &LaneOptions::default()).unwrap();
        // More segments than any kernel takes at once: EINVAL.
        let train: Vec<u8> = (0..200u8).flat_map(|i| [i; 100]).collect();
        assert!(socket.takes_trains());
        assert_eq!(socket.send(&train, 100), Sent::Gone);
        assert!(!socket.takes_trains());
        for i in 0..200u8 {
            let mut datagram = [0; 200];
            assert_eq!(receiver.recv(&mut datagram).unwrap(), 100);
            assert_eq!(datagram[..100], [i; 100]);
        }
    }

    #[test]
    fn a_datagram_beyond_the_mtu_is_refused_and_not_cut() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = receiver.local_addr().unwrap();
        let mut socket = Socket::client(peer, &LaneOptions::default()).unwrap();
        assert_eq!(socket.send(&[0; 65_530], 65_530), Sent::TooLarge);
        let most = socket.max_datagram(&LaneOptions::default());
        assert_eq!(
            socket.send(&vec![0; usize::from(most)], usize::from(most)),
            Sent::Gone
        );
    }
}
