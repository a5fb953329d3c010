//! `sendmsg` with UDP_SEGMENT and `recvmmsg` with UDP_GRO, SO_RXQ_OVFL, TOS and packet info.

use std::io::IoSlice;
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Bytes of one receive buffer: the most that UDP_GRO hands over at once.
pub(crate) const SLOT: usize = 65_536;
/// Room for control messages: five of them with 32 bytes of payload fit.
const CONTROL: usize = 256;
/// ECN field of the TOS byte: congestion experienced (RFC 3168).
const ECN_MASK: u8 = 0b11;
const ECN_CE: u8 = 0b11;
/// Ancillary data of one segment size, with its padding.
// SAFETY: CMSG_SPACE computes with its argument only.
const SEGMENT_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as usize;

#[repr(align(8))]
struct Aligned<const N: usize>([u8; N]);

/// Sends one datagram, or with `segment` a train of datagrams of that size (the last may be shorter).
pub(crate) fn send(
    fd: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    segment: Option<u16>,
) -> Result<usize, Errno> {
    let mut control = Aligned([0u8; SEGMENT_SPACE]);
    // SAFETY: all zeros are a valid msghdr.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = parts.as_ptr().cast::<libc::iovec>().cast_mut();
    message.msg_iovlen = parts.len();
    if let Some(size) = segment {
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = SEGMENT_SPACE;
        // SAFETY: `control` is aligned for a cmsghdr and has room for one with two bytes of data, which is what is
        // written; it outlives the call below.
        unsafe {
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_UDP;
            (*head).cmsg_type = libc::UDP_SEGMENT;
            (*head).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as usize;
            libc::CMSG_DATA(head).cast::<u16>().write_unaligned(size);
        }
    }
    // SAFETY: IoSlice is ABI-compatible with iovec; parts and control outlive the call, which only reads them.
    let sent = unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &raw const message,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    if sent < 0 {
        Err(last_errno())
    } else {
        Ok(sent as usize)
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// What came with one message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meta {
    pub len: usize,
    /// Size of the datagrams in it; the last may be shorter.
    pub segment: usize,
    pub ce: bool,
    /// The socket's count of dropped datagrams.
    pub drops: Option<u32>,
    /// Only when addresses were asked for.
    pub from: Option<SocketAddr>,
    pub to: Option<IpAddr>,
}

/// Buffers for a batch of messages.
pub(crate) struct Batch {
    slots: Vec<Box<[u8]>>,
    control: Vec<Aligned<CONTROL>>,
    names: Vec<libc::sockaddr_storage>,
    metas: Vec<Meta>,
}

impl Batch {
    /// Room for `messages` messages of up to [`SLOT`] bytes.
    pub(crate) fn new(messages: usize) -> Batch {
        let slots = (0..messages)
            .map(|_| vec![0; SLOT].into_boxed_slice())
            .collect();
        let control = (0..messages).map(|_| Aligned([0; CONTROL])).collect();
        // SAFETY: all zeros are a valid sockaddr_storage (family AF_UNSPEC).
        let names = vec![unsafe { zeroed() }; messages];
        Batch {
            slots,
            control,
            names,
            metas: Vec::with_capacity(messages),
        }
    }

    /// The messages of the last receive.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&[u8], &Meta)> {
        self.slots
            .iter()
            .zip(&self.metas)
            .map(|(slot, meta)| (&slot[..meta.len], meta))
    }

    /// True when the last receive filled every slot: more may wait.
    pub(crate) fn was_full(&self) -> bool {
        self.metas.len() == self.slots.len()
    }

    /// Receives what is there without waiting, and returns the number of messages. `addresses` asks for who sent them.
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>, addresses: bool) -> Result<usize, Errno> {
        const MOST: usize = 16;
        self.metas.clear();
        let mut parts: [MaybeUninit<libc::iovec>; MOST] = [const { MaybeUninit::uninit() }; MOST];
        // SAFETY: all zeros are a valid mmsghdr.
        let mut headers: [libc::mmsghdr; MOST] = unsafe { zeroed() };
        let count = self.slots.len().min(MOST);
        let buffers = self
            .slots
            .iter_mut()
            .zip(&mut self.control)
            .zip(&mut self.names);
        for (((slot, control), name), (part, header)) in
            buffers.zip(parts.iter_mut().zip(&mut headers))
        {
            let part = part.write(libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot.len(),
            });
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
            if addresses {
                header.msg_hdr.msg_name = (&raw mut *name).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            }
        }
        // SAFETY: the first `count` headers point to buffers of the lengths they say, all of which outlive the call.
        let got = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if got < 0 {
            return Err(last_errno());
        }
        for (header, name) in headers.iter().zip(&self.names).take(got as usize) {
            let mut meta = Meta {
                len: header.msg_len as usize,
                ..Meta::default()
            };
            // SAFETY: the kernel filled the header, and its control buffer is still alive.
            unsafe { read_control(&header.msg_hdr, &mut meta) };
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                meta.len = 0;
            }
            if meta.segment == 0 {
                meta.segment = meta.len.max(1);
            }
            if addresses {
                meta.from = address(name);
            }
            self.metas.push(meta);
        }
        Ok(got as usize)
    }
}

/// # Safety
/// `message` must have been filled by a successful `recvmsg` and its control buffer must be alive.
unsafe fn read_control(message: &libc::msghdr, meta: &mut Meta) {
    // SAFETY: the macros walk the control buffer within `msg_controllen`; each payload is read unaligned and with the
    // size that the kernel documents for its type.
    unsafe {
        let mut head = libc::CMSG_FIRSTHDR(message);
        while !head.is_null() {
            let data = libc::CMSG_DATA(head);
            match ((*head).cmsg_level, (*head).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    meta.segment = data.cast::<libc::c_int>().read_unaligned().max(1) as usize
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    meta.drops = Some(data.cast::<u32>().read_unaligned())
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => meta.ce = data.read() & ECN_MASK == ECN_CE,
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    meta.ce =
                        data.cast::<libc::c_int>().read_unaligned() as u8 & ECN_MASK == ECN_CE;
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    meta.to = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    meta.to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).to_canonical());
                }
                _ => {}
            }
            head = libc::CMSG_NXTHDR(message, head);
        }
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, for which the storage is large enough and aligned.
            let v4 = unsafe { *(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, for which the storage is large enough and aligned.
            let v6 = unsafe { *(&raw const *name).cast::<libc::sockaddr_in6>() };
            let (ip, port) = (
                Ipv6Addr::from(v6.sin6_addr.s6_addr),
                u16::from_be(v6.sin6_port),
            );
            Some(match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddrV4::new(ip, port).into(),
                None => SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;
    use crate::transport::sys::sockopt;

    #[test]
    fn a_train_arrives_as_one_message_with_its_segment_size() {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").unwrap();
        sockopt::set(b.as_raw_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).unwrap();
        a.connect(b.local_addr().unwrap()).unwrap();
        let train: Vec<u8> = (0..2500).map(|i| (i / 1000) as u8).collect();
        send(
            a.as_fd(),
            &[IoSlice::new(&train[..700]), IoSlice::new(&train[700..])],
            Some(1000),
        )
        .unwrap();
        let mut batch = Batch::new(4);
        let got = (0..1000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            batch.receive(b.as_fd(), true).ok()
        });
        assert!(got.is_some());
        let datagrams: Vec<&[u8]> = batch
            .messages()
            .flat_map(|(bytes, meta)| bytes.chunks(meta.segment))
            .collect();
        assert_eq!(datagrams, [&[0; 1000][..], &[1; 1000][..], &[2; 500][..]]);
        let (_, meta) = batch.messages().next().unwrap();
        assert_eq!(meta.from, Some(a.local_addr().unwrap()));
    }

    #[test]
    fn a_congestion_mark_is_seen() {
        for (bind, level, option, receive) in [
            (
                "127.0.0.1:0",
                libc::IPPROTO_IP,
                libc::IP_TOS,
                libc::IP_RECVTOS,
            ),
            (
                "[::1]:0",
                libc::IPPROTO_IPV6,
                libc::IPV6_TCLASS,
                libc::IPV6_RECVTCLASS,
            ),
        ] {
            let a = UdpSocket::bind(bind).unwrap();
            let b = UdpSocket::bind(bind).unwrap();
            sockopt::set(b.as_raw_fd(), level, receive, 1).unwrap();
            let mut batch = Batch::new(1);
            for mark in [0b10, 0b11] {
                sockopt::set(a.as_raw_fd(), level, option, mark).unwrap();
                a.send_to(&[1], b.local_addr().unwrap()).unwrap();
                while batch.receive(b.as_fd(), false).is_err() {}
                assert_eq!(batch.messages().next().unwrap().1.ce, mark == 0b11);
            }
        }
    }
}
