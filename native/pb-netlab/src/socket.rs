//! A packet socket on one interface: frames that arrive are read from a ring shared with the kernel (packet(7), TPACKET_V2, whose
//! frames are there at once and not when a block is full), frames that leave go out in batches with sendmmsg.

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use thiserror::Error;

use crate::ring::Ring;

/// Frames per sendmmsg.
pub const BATCH: usize = 64;
/// Room for a batch of the largest frames on their way through the kernel.
const SEND_BUFFER_BYTES: libc::c_int = 8 << 20;
/// linux/if_packet.h: `TPACKET_V2` of `enum tpacket_versions`.
const VERSION_2: libc::c_int = 1;

#[derive(Debug, Error)]
#[error("interface {interface}: {what}: {source}")]
pub struct SocketError {
    interface: String,
    what: &'static str,
    source: io::Error,
}

pub struct PacketSocket {
    fd: OwnedFd,
    ring: Ring,
}

impl PacketSocket {
    /// `mtu`: of the interface; `rate_bits_per_sec`: of the link from here on, 0 for unlimited. Needs CAP_NET_RAW.
    pub fn open(
        interface: &str,
        mtu: usize,
        rate_bits_per_sec: u64,
    ) -> Result<PacketSocket, SocketError> {
        let step = |what| {
            let interface = interface.to_owned();
            move |source| SocketError {
                interface,
                what,
                source,
            }
        };
        let index = index_of(interface).map_err(step("not found"))?;
        let fd = new_socket().map_err(step("no packet socket"))?;
        set(&fd, libc::SOL_PACKET, libc::PACKET_VERSION, VERSION_2).map_err(step("TPACKET_V2"))?;
        // What this socket sends must not come back to it.
        set(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)
            .map_err(step("PACKET_IGNORE_OUTGOING"))?;
        set(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
            .map_err(step("PACKET_QDISC_BYPASS"))?;
        set(
            &fd,
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            SEND_BUFFER_BYTES,
        )
        .map_err(step("SO_SNDBUFFORCE"))?;
        let ring = Ring::map(&fd, mtu, rate_bits_per_sec).map_err(step("ring"))?;
        bind(&fd, index).map_err(step("bind"))?;
        Ok(PacketSocket { fd, ring })
    }

    pub fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }

    /// Frames that found the ring full since the last call.
    pub fn take_ring_drops(&self) -> u64 {
        let mut stats = libc::tpacket_stats {
            tp_packets: 0,
            tp_drops: 0,
        };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: `stats` is writable for `length` bytes and its fields take any bits.
        let status = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        };
        if status == 0 {
            u64::from(stats.tp_drops)
        } else {
            0
        }
    }

    /// Sends the first `BATCH` of `frames`, in order, as far as the kernel takes them. Returns how many it took; an error is that of the
    /// first one. ENOBUFS and EAGAIN are of the moment: the receiving interface's queue is full, or our own.
    pub fn send(&self, frames: &[impl AsRef<[u8]>]) -> io::Result<usize> {
        // SAFETY: all-zero bytes are a valid `iovec` and `mmsghdr`: null pointers and zero lengths.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        let count = frames.len().min(BATCH);
        for (index, frame) in frames[..count].iter().enumerate() {
            let frame = frame.as_ref();
            vectors[index].iov_base = frame.as_ptr().cast_mut().cast();
            vectors[index].iov_len = frame.len();
            messages[index].msg_hdr.msg_iov = &raw mut vectors[index];
            messages[index].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: `count` messages point at vectors and frames that live through the call; sending only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                self.fd.as_raw_fd(),
                messages.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

pub fn index_of(interface: &str) -> io::Result<libc::c_int> {
    let name = CString::new(interface)?;
    // SAFETY: `name` is a C string that lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(index as libc::c_int)
}

/// Receives nothing until it is bound: protocol 0.
fn new_socket() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    set_bytes(fd, level, name, &value)
}

/// `T` is the plain C type that the kernel expects for this option.
pub fn set_bytes<T: Copy>(
    fd: &OwnedFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    // SAFETY: `value` is readable for its size, which is what the kernel is told.
    let status = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn bind(fd: &OwnedFd, index: libc::c_int) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    // SAFETY: `address` is a whole sockaddr_ll and its size is given.
    let status = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
